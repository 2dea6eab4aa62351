"""The formats of the wire, as pure functions."""
