"""The next measurement, when to stop, and the conclusion: ladder, rate search, A/B test. Read `ladder.py` first."""
