"""Which instance gets a request, and when. Read `dispatcher.py` first, then `instance_state.py`, `health.py` and `slots.py`."""
