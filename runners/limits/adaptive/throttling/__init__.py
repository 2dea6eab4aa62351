"""What a refusal means and how sending is tried again after one. Read `refusals.py` first."""
