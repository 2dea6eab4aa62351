"""Programs that measure what the README claims, and print it.

Run each from the folder of the repository, as `python -m benchmarks.NAME` or as `python benchmarks/NAME.py`; `--help` says what it takes.
"""
