"""What a load test sends, and what that will take. Read `workload.py` first."""
