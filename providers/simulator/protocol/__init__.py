"""How simulated endpoints say things, as bytes and headers: requests in `calls.py`, errors in `dialects.py`, answers in `bodies.py`."""
