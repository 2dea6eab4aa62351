"""Modelled endpoints, rival controllers and a discrete-event loop for `benchmarks/rate_control.py`.

Virtual seconds, one thread, seeded: the same command gives the same table.
"""
