"""Modelled endpoints, rival controllers and a discrete-event loop: what `benchmarks/rate_control.py` measures on.

Virtual seconds, one thread, seeded: the same command gives the same table.
"""
