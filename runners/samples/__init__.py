"""One sample becomes one record. Read `worker.py` first, then `pool.py`; `monitor.py` tells the progress of a run."""
