"""The tokens of an answer: `estimates` before the server reports them, `reported` as it reports them, and their `pricing`."""
