"""The rate that a server allows, learned from accepted and refused sends. Read `rate_model.py` first."""
