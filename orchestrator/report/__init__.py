"""A run as one document: facts first, then pages made of them."""
