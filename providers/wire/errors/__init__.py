"""What an error answer means. Read `refusals.py` first; `complaint.py` finds the words, `wordings.py` lists them."""
