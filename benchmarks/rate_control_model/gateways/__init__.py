"""Servers that mislead an adaptive limit, drawn at random by family. Read `families.py` first; `rules.py` holds their admission rules."""
