"""Reading of run directories: data frames, summary, verification, comparison. Read `directory.py`, then `run.py`."""
