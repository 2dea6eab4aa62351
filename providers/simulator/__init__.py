"""The simulated provider: a real HTTP server with hidden quotas, a latency model and seeded faults, and the adapter that calls it.

Begin with `settings/provider.py`, which lists everything that a simulated endpoint can do, then follow a request through `app.py`.
`limits/` decides whether a request is admitted and how long its answer takes, `completion.py` and `answers/` what the answer is,
`protocol/` how it is written as bytes. `in_process.py` is the same provider without a socket.
"""
