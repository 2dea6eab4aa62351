"""Checks of instances: `doctor.py` asks each one request, `drift_check.py` asks whether one model is behind all of a name."""
