"""What to measure next, when to stop, and what follows: ladder, rate search, A/B test. Read `ladder.py` first."""
