"""The wire format as pure functions: they build the body of a request, and read bytes as an answer or an error. Both transports use it.

Begin with `chat`, which reads a whole completion. `body` parses a body that was not streamed. `stream` joins the events that `events`
separates to a completion; `growing_message` and `growing` join the pieces of messages. `turn` reads a message: `reasoning` finds the
reasoning, `tool_calls` the calls. `usage` counts tokens, `json_text` reads JSON with the deviations of some servers.

`refusals` classifies errors; it uses `complaint` (finds codes and messages in a body), `wordings` (the known patterns) and
`spoken_limits` (limits in messages). `adaptation` finds a field that may be renamed. `headers` reads rate limits. `responses` converts
chats for the Responses API. Nothing here opens a connection.
"""
