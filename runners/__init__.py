"""Making it happen: permits, retries, workers, the journal and the result files."""
