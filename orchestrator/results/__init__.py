"""A run directory read back: frames, summary, verification, comparison. Read `run_directory/`, then `run.py`."""
