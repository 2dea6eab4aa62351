"""Verification of a run directory from its files alone. Read `verification.py` first."""
