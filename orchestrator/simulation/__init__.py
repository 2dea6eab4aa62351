"""The embedded simulator beside a run: its process, and answers that depend on the task's target."""
