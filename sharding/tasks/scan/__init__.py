"""The scan of a task file when it is opened. Read `file_scan.py` first; `row_batches.py` checks many rows at once."""
