"""The wire format as pure functions: a request becomes a payload, bytes become an answer or an error. Both transports use it.

Begin with `chat`, which reads a whole completion. `body` parses what came in one piece; `streams/` joins one that comes in pieces, and
`message/` reads a message with its reasoning and its tool calls. `usage` counts the tokens, `json_text` reads JSON that is not quite JSON.

`errors/` says what an error means; `spoken_limits` finds waits in its words, `adaptation` a field that may be renamed. `headers` reads
limits. `responses` respells chats for the Responses API. Nothing here opens a connection.
"""
