"""The wire format as pure functions: a request becomes a payload, bytes become an answer or the error that they are. Both transports use it.

Begin with `chat`, which reads a whole completion. `stream` turns events into such a completion, `body` reads what came in one piece.
`turn` reads a message with all that it holds: `reasoning` finds the thinking, `tool_calls` the calls, `usage` the tokens. `growing` joins
what a stream sends in pieces, and `json_text` reads JSON that is not quite JSON.
"""
