"""How much an endpoint carries: load tests, their measures, the limit and what binds it. Read `ladders.py` first."""
