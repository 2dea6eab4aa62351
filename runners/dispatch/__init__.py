"""Which instance gets a request, and when. Read `assign.py` first, then `waiting_queue.py` and `dispatcher.py`."""
