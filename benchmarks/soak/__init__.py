"""A soak: two runs that share keys, with faults and kills, and what they hold over time. Read `__main__.py` first."""
