"""A run directory read back: frames, summary, verification, comparison. Read `directory.py`, then `run.py`."""
