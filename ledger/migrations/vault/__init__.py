"""The vault's migrations, oldest first; one that was released is never edited."""
