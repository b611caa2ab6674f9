"""Papers that people take away: statements and credentials, in every form they are handed out."""
