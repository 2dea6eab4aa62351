"""The message of an answer. Read `turn.py` first; `growing_message.py` joins one that comes in pieces."""
