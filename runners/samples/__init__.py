"""One sample becomes one record. Read `worker.py` first, then `record_building.py` and `pool.py`."""
