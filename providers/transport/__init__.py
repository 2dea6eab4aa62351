"""How one request reaches an instance and comes back whole: `native` (aiohttp and orjson, the hot path) and `sdk` (the openai package).

Both read answers with `wire` and `sse` and explain failures with `..wire.refusals`, so that they differ in speed and in nothing else.
"""
