"""The wire format as pure functions: a request becomes a payload, bytes become an answer or an error. Both transports use it.

Begin with `operations/chat`, which reads a whole completion. `message/` reads a message with its reasoning and its tool calls, `streams/`
joins an answer that comes in pieces. `errors/` says what an error means, `rate_limits/` reads limits and waits. Nothing here opens a
connection.
"""
