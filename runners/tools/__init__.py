"""Simulated tools, and the formats in which a model gets tools and calls them. Read `simulated_tools.py` first."""
