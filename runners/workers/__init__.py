"""The slots of a pool's workers, and the samples that hold them. Calls and samples both build on it; read `slots.py` first."""
