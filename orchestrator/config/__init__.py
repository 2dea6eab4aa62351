"""The user's file, the environment and the flags as checked values. Read `settings.py` first, then `loading.py`."""
