"""The native transport against a hostile server: `python -m benchmarks.hostile`. `server.py` is the server."""
