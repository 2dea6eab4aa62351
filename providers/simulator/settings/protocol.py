"""Settings of an endpoint's protocol: the peculiarities of vendors, each enabled separately."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

HeaderFamily = Literal["openai", "azure", "mistral", "huggingface", "together", "rfc"]
WaitPlace = Literal["everywhere", "words", "retry_info", "zero_ms"]
ReasoningForm = Literal["field", "think", "list"]
ReasoningUsage = Literal["inside", "outside", "unsaid"]
UsagePlace = Literal["last_chunk", "finish_chunk", "after_finish", "every_chunk", "x_groq", "absent"]
CachedPlace = Literal[
    "prompt_tokens_details", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens", "prompt_cache_hit_tokens"
]
WrongKey = Literal[401, "CE-003", "API_KEY_INVALID", "invalid-argument"]
RefusedField = Literal[
    "temperature",
    "top_p",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "logprobs",
    "stream_options",
    "parallel_tool_calls",
    "reasoning_effort",
    "verbosity",
    "response_format",
    "tools",
    "system",
]


class CreditSettings(BaseModel):
    """Credit that is used up during a run."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    after: Annotated[int, Field(ge=0)]
    """Requests admitted before all later ones are refused because the credit is used up."""
    status: Literal[402, 400, 429] = 402
    """402: "Insufficient Balance" (DeepSeek); 400: `billing_hard_limit_reached` (OpenAI); 429: `insufficient_quota` (OpenAI)."""


class QuirkSettings(BaseModel):
    """Peculiarities of answers. The defaults are those of OpenAI."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    index_reuse: bool = False
    """Streamed: every tool call is sent whole, in one chunk, with index 0 (Gemini)."""
    empty_names: bool = False
    """Streamed: later chunks of a tool call have "" as name and id (GLM, Llama on watsonx)."""
    null_arguments: bool = False
    """`arguments: null` where a call has no arguments, and in the first chunk of a streamed call (OpenRouter)."""
    missing_ids: bool = False
    """Tool calls have no `id` (Gemini)."""
    usage: UsagePlace = "last_chunk"
    """Where a stream reports its usage. last_chunk: after the finish reason, without choices, if requested (OpenAI); finish_chunk: with
    the finish reason (Mistral); after_finish: with an empty delta after it (OpenRouter); every_chunk: null until the last chunk
    (Databricks); x_groq: in `x_groq.usage` of the last chunk (Groq); absent: nowhere, also not in whole answers."""
    cached: CachedPlace | None = None
    """Usage reports half of the prompt as cached under this name (OpenAI, Moonshot, vLLM, Databricks, DeepSeek)."""
    no_done: bool = False
    """A stream ends without [DONE]."""
    keepalive: bool = False
    """Comments between the events of a stream (OpenRouter)."""
    crlf: bool = False
    """The lines of a stream end with CR LF."""
    whitespace_first: bool = False
    """Blank lines before a whole body or the first event (OpenRouter, to keep the connection alive)."""
    nan_logprobs: bool = False
    """Log-probabilities are `NaN`, which is not valid JSON."""
