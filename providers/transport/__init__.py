"""How one request reaches an instance and comes back whole: `native` (aiohttp and orjson, the hot path) and `sdk` (the openai package).

Both read answers and explain failures with the package `wire`, so that they differ in speed and in nothing else.
"""
