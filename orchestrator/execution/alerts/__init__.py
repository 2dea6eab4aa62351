"""What a run tells of while it goes: budgets, refusals, shared quotas, drift, open files. Read `events.py` first."""
