"""Streamed answers. `events.py` splits bytes into events, `stream.py` and `response_stream.py` join these into answers."""
