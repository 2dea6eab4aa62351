"""The choice of an instance for a request, and the permit to send. Read `dispatcher.py` first, then `instance_state.py`, `health.py`."""
