"""The records of a run summed up: groups, success rates with their intervals, the weighted score. Begin with `summary.py`."""
