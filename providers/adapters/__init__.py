"""Which instances a model has at a vendor, and where their requests go. Read `routed.py` first; `registry.py` lists the types."""
