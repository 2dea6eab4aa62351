"""Prove from the files alone what a run directory holds. Read `verifier.py` first; `verification.py` is its result."""
