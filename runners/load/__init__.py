"""The load of a load test. Start at `run_load.py`."""
