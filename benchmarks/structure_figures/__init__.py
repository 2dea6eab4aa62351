"""The figures of `benchmarks/structure.py`. Read `figure.py` first, then `source.py`; every other module contains one kind of figure."""
