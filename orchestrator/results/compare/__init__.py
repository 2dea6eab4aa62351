"""Comparison of results: levels of an axis pair by pair, runs stage by stage, result files of other tools. Read `comparison.py` first."""
