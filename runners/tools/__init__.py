"""Simulated tools, and how a model is told of tools and asks for them. Read `simulated_tools.py` first."""
