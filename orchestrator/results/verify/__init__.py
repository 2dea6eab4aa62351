"""Prove from the files alone what a run directory holds. Read `verification.py` first."""
