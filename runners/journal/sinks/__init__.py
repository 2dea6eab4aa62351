"""The result files: Parquet parts or one JSONL file. Both hold the same rows. Read `sink.py` first."""
