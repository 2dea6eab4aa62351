"""The ground floor: one request to one instance, and what can go wrong."""
