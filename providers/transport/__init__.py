"""The two transports that send one request and read its whole answer: `native` (our client in `http1`, the fast one) and `sdk` (openai).

Both read answers and classify failures with the package `wire`, so that they differ in speed only.
"""
