"""The top floor: HTTP in, commands to the desk, answers from the views."""
