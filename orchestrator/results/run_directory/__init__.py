"""What a run directory holds, also one of an older version. Read `directory.py`, then `run_records.py`."""
