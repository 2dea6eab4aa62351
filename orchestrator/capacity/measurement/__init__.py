"""Run and measure one load-test setting. Read `session.py` first; `measures.py` defines every figure."""
