"""Records on disk: the journal, its segments, and the result files that are made from them. Read `journal.py` first."""
