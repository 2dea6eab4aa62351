"""What people see in a terminal. Every text from outside passes through `terminal.py`."""
