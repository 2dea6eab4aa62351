"""What a simulated answer is: where its text comes from, its reasoning, its tokens and its fault. Begin with `completion.py`."""
