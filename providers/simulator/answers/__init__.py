"""The content of a simulated answer: its text, reasoning, tokens and fault."""
