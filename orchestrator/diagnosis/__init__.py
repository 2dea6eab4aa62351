"""Checks of instances: `doctor.py` asks each one request, `drift.py` finds another model behind a name."""
