"""The classification of refusals, and the trials after one. Read `refusals.py` first."""
