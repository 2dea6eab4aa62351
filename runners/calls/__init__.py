"""One call of a model: permit, attempt, retry, budget. Read `client.py` first, then `call.py`; `activity.py` says what a sample waits for."""
