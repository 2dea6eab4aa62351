"""Runs that are killed at every named point of the write path, at random times and by signals, and the state after a resume."""
