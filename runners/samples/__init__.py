"""One sample becomes one record. Read `worker.py` first, then `pool.py`; `bitmap.py` says which samples are done."""
