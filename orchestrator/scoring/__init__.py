"""Scorers: what an answer is worth. `async (sample, answer, model) -> Score`."""
