"""Limits that are learned from accepted and refused requests. Read `state.py` first."""
