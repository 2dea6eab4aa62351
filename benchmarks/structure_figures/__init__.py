"""The figures of `benchmarks/structure.py`. Read `figure.py` first, then `source.py`; every other module holds one kind of figure."""
