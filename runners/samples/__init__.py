"""One sample becomes one record. Read `worker.py` first, then `pool.py`."""
