"""One load-test setting, run and measured. Read `session.py` first, `live.py` shows it; `measures.py` defines every figure."""
