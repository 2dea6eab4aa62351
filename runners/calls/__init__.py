"""One call of a model: permit, attempt, retry, budget. Read `client.py` and `call.py` first."""
