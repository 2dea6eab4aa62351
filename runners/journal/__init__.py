"""Records on disk: the journal, its segments, and the result files made of them. Read `journal.py` first."""
