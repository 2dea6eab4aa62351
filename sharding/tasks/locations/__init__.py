"""Where tasks lie: `files.py` expands what a user writes under `path` to files, `hub.py` downloads data sets of the Hugging Face hub."""
