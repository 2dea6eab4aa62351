"""A worker's slot and the sample that holds it. Calls and samples both build on it; read `slots.py` first."""
