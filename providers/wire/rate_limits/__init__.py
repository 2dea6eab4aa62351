"""What a server says of its limits and of a wait. Begin with `headers`.

Of a refusal, also which limit it is about: `spoken_limits` and `spoken_waits` read its words (`limit_wordings` is the table),
`refusal_headers` its headers.
"""
