"""How simulated endpoints say things, as bytes and headers: begin with `dialects.py` for errors and `bodies.py` for answers."""
