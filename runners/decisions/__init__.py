"""The decisions of a run as lines of a file, each with a sentence. Read `decision_log.py` first, then `sentences.py`."""
