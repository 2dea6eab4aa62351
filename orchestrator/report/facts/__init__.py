"""The facts of a report as plain data. Read `gather.py` first."""
