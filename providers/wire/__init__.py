"""The wire format as pure functions: a request becomes a payload, bytes become an answer or an error. Both transports use it.

Begin with `chat`, which reads a whole completion. `body` parses what came in one piece; `stream` joins the events that `events` splits
off into a completion, and `growing_message` and `growing` join the pieces. `turn` reads a message with all that it holds: `reasoning`
finds the thinking, `tool_calls` the calls. `usage` counts the tokens, `json_text` reads JSON that is not quite JSON.

`refusals` says what an error means, with `complaint` (where its words stand), `wordings` and `spoken_limits`; `adaptation` finds a
field that may be renamed. `headers` reads limits. `responses` respells chats for the Responses API. Nothing here opens a connection.
"""
