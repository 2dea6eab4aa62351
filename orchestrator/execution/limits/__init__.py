"""How sends are limited: the limiters of a run, and what is remembered of limits between runs."""
