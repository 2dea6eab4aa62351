"""The report of a run: first the facts, then the pages built from them."""
