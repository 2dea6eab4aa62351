"""Simulated tools, and the formats in which a model gets tools and calls them.

Read `simulated_tools.py` first. A model's text goes through `text_format.py`, `text_calls.py` and `call_body.py`.
"""
