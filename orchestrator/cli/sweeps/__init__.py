"""Commands that plan and run a sweep."""
