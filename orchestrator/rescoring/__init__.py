"""Grades the stored answers of a run again, without a request. Read `rescore.py` first, then `grading.py` and `stored_answers.py`."""
