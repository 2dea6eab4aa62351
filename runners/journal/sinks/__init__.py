"""Where results go: Parquet parts or one JSONL file. Both hold the same rows."""
