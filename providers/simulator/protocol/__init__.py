"""The bytes and headers of simulated endpoints: begin with `dialects.py` for errors and `bodies.py` for answers."""
