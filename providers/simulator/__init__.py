"""The embedded provider: a real HTTP server with hidden quotas, a latency law and seeded faults, and the adapter that calls it."""
