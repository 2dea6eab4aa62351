"""What a report says, as plain data. Read `gather.py` first."""
