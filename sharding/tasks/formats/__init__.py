"""Formats of task files beside the plain text ones: Arrow, samples of lm-eval, and what is compressed. Start at `arrow_rows.py`."""
