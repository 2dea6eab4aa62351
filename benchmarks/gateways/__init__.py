"""Adaptive limits against real servers over loopback HTTP: a LiteLLM proxy and a mock that refuses at random.

Read `cases.py` first, then `trial.py`. Everything here is started and ended by the program.
"""
