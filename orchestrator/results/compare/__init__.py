"""Results side by side: levels of an axis pair by pair, runs stage by stage, other tools' files. Read `comparison.py` first."""
