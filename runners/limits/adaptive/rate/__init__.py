"""The rate that a server allows, learned from accepted and refused requests. Read `rate_model.py` first."""
