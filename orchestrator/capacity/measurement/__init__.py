"""One load-test setting, run and measured. Read `session.py` first; `measures.py` defines every figure."""
