"""Task sets: files read by row. `sources.py` opens them, `task_files.py` joins a row store with its columns, `task.py` is the result."""
