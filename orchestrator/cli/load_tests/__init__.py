"""`bench`: a module per command. Read `group.py` first."""
