"""Prompt types and the changes that they make to a task's messages. Read `templates.py` first; the shipped types are in `prompt_types/`."""
