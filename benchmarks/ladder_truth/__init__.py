"""Modelled servers whose limits are known, and what a ladder says of them, on the virtual clock. Read `__main__.py` first."""
