"""An HTTP/1.1 client for POST requests, on asyncio protocols and httptools. Read `connection` first, then `pool`.

It knows nothing of providers: `connection` writes a request and feeds the answer to a ResponseReader as the bytes arrive, `pool` keeps idle
connections per origin, `connector` opens them, and `deadlines` ends what has waited too long with one timer for all connections.
"""
