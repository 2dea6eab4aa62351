"""A run from its configuration to its outcome. Read `execute.py` first; `prepare.py` is what comes before it.

`context.py` is what a run has open, `driver.py` and `owner.py` are the two sides that execute it; the other modules are parts of these.
"""
