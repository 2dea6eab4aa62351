"""Checks of instances: `doctor.py` sends a request to each, `drift_check.py` checks whether they all serve the same model."""
