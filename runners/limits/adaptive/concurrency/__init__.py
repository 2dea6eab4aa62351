"""The limit on requests in flight. Read `concurrency_cap.py` first."""
