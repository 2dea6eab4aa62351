"""The wire format as pure functions: a request becomes a payload, bytes become an answer or an error. Both transports use it.

Begin with `chat`, which reads a whole completion. `body` parses what came in one piece; `streams/` joins one that comes in pieces, and
`message/` reads a message with its reasoning and its tool calls. `usage` counts the tokens, `json_text` reads JSON that is not quite JSON.

`errors/` says what an error means, `adaptation` finds a field that may be renamed. `headers` reads limits and waits; of a refusal, also
which limit it is about: `spoken_limits` and `spoken_waits` read its words (`limit_wordings` is the table), `refusal_headers` its headers.
`responses` respells chats for the Responses API. Nothing here opens a connection.
"""
