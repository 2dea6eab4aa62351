"""Rate and concurrency limits: the limiter interface, the fixed and the adaptive limiter. Read `permit.py` first."""
