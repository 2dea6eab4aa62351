"""A run directory read back: frames, summary, verification, comparison. Read `directory.py`, then `run_records.py` and `run.py`."""
