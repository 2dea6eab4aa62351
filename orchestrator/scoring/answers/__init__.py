"""What an answer states: its number (`stated_number.py`, `numerals.py` reads how it is written) or its choice (`stated_choice.py`)."""
