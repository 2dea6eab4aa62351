"""Programs that measure the claims of the README and print the results.

Run each from the folder of the repository, as `python -m benchmarks.NAME` or as `python benchmarks/NAME.py`; `--help` lists the options.
"""
