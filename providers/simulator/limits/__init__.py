"""Whether a request is let in, and how long its answer takes: meters and quotas on a given clock (`quota.py`, begin there), the gate
that applies them on the running loop, the latency law and the service that plays it."""
