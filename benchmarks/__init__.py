"""Programs that measure what the README claims, and print it."""
