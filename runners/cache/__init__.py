"""The cache of answers: `answer_cache.py` looks in memory, then on disk, and asks the model once for equal requests."""
