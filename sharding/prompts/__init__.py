"""Prompt types and what they do to a task's messages. Read `templates.py` first; the shipped types are in `prompt_types/`."""
