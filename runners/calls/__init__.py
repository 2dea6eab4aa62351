"""One call of a model: budget, permit, attempt, retry. Read `client.py` first."""
