"""What a task's target accepts: texts (`accepted.py`) or options (`choice_targets.py`). `check.py` finds unusable ones before a run."""
