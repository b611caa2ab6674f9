"""The command line: one verb, one file; `cli` is the table of them."""
