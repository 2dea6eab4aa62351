"""The simulator of a run: its process, and its answers, which depend on the task's target."""
