"""The instances of a model at each vendor, and the addresses of their requests. Read `routed.py` first; `registry.py` lists the types."""
