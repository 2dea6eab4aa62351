"""The tokens of an answer: `estimates` before the server reports them, and `reported` as it reports them."""
