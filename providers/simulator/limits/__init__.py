"""Admission of requests and latency of answers. Begin with `quota.py` (meters and quotas on a given clock); `gate.py` applies them on the
running loop, `latency.py` models the latency, and `service.py` applies it on the running loop."""
