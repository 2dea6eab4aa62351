"""Scorers, which grade answers: `async (sample, answer, model) -> Score`. Read `registry.py` first, which lists them."""
