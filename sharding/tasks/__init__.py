"""Task sets: files that are read by row. `sources.py` opens them, `task_files.py` reads rows as tasks, `task.py` defines the task."""
