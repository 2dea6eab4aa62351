"""Intervals, paired tests and power: published formulas, each cited where it stands. Nothing here knows of runs or files."""
