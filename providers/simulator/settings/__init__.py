"""The settings of a simulated provider in the user's file. Begin with `provider.py`."""
