"""How many requests may be in flight. Read `concurrency_cap.py` first."""
