"""The output to a terminal. Every text from outside is made printable in `terminal.py`."""
