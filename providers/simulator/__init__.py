"""The embedded provider: a real HTTP server with hidden quotas, a latency law and seeded faults, and the adapter that calls it.

Begin with `settings.py`, which says all that a simulated endpoint can do, then follow a request through `app.py`. `limits/` decides
whether it is let in and how long its answer takes, `answers/` what the answer is, `protocol/` which bytes say it. `in_process.py` is the
same provider without a socket.
"""
