"""What an instance is asked for: `chat` builds and reads a chat completion, `responses` respells it for the Responses API.

`generation` builds the fields that control the generation; `adaptation` finds a field that may be renamed.
"""
