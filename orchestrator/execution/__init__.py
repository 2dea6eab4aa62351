"""A run from its configuration to its outcome. Read `execute.py` first; `prepare.py` is what comes before it."""
