"""What a run reports while it runs: budgets, refusals, shared quotas, drift, open files. Read `events.py` first."""
