"""How Azure and OpenAI say errors. What the client's adapters have to understand, word for word.

A dialect follows from the URL that was called, as with the real services.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from ..limits.quota import QuotaRefusal, Unit


Denial = Literal["unauthorized", "not_found"]
"""Why a request finds no endpoint: a key or a name that is not known."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error as it is sent; Google's bodies are lists."""

    status: int
    body: dict[str, object] | list[dict[str, object]]


class Dialect(Protocol):
    filters_by_status: bool
    """A filtered prompt is an answer 400; otherwise a finish reason."""
    tells_filter_results: bool
    """Answers carry prompt_filter_results, streams in a first chunk without choices."""

    def denied(self, denial: Denial, name: str) -> ErrorAnswer:
        """Refuse an unknown key or name."""
        ...

    def bad_request(self, reason: str) -> ErrorAnswer:
        """Refuse a body that cannot be read."""
        ...

    def throttled(self, refused: QuotaRefusal, name: str) -> ErrorAnswer:
        """Refuse for a limit."""
        ...

    def server_error(self) -> ErrorAnswer:
        """Fail as a server does."""
        ...

    def filtered(self) -> ErrorAnswer:
        """Refuse a prompt for its content."""
        ...


class OpenAIDialect:
    filters_by_status = False
    tells_filter_results = False

    def denied(self, denial: Denial, name: str) -> ErrorAnswer:
        if denial == "unauthorized":
            message = "Incorrect API key provided. You can find your API key in the settings of your account."
            return _openai(401, message, "invalid_request_error", "invalid_api_key")
        message = f"The model `{name}` does not exist or you do not have access to it."
        return _openai(404, message, "invalid_request_error", "model_not_found")

    def bad_request(self, reason: str) -> ErrorAnswer:
        return _openai(400, reason, "invalid_request_error", None)

    def throttled(self, refused: QuotaRefusal, name: str) -> ErrorAnswer:
        what = {
            "requests": "requests per min (RPM)",
            "tokens": "tokens per min (TPM)",
            "concurrency": "parallel requests",
        }
        if refused.ready_at == math.inf:
            message = (
                f"Request too large for {name} on {what[refused.unit]}. The input or output tokens must be reduced."
            )
        else:
            again = "" if refused.retry_after_s is None else f" Please try again in {refused.retry_after_s:.3f}s."
            message = f"Rate limit reached for {name} on {what[refused.unit]}.{again}"
        return _openai(429, message, refused.unit, "rate_limit_exceeded")

    def server_error(self) -> ErrorAnswer:
        message = "The server had an error while processing your request. Sorry about that!"
        return _openai(500, message, "server_error", None)

    def filtered(self) -> ErrorAnswer:
        return _openai(
            400, "Invalid prompt: it was flagged by our usage policy.", "invalid_request_error", "content_filter"
        )


class AzureDialect:
    filters_by_status = True
    tells_filter_results = True

    def denied(self, denial: Denial, name: str) -> ErrorAnswer:  # noqa: ARG002 - Azure does not repeat the name
        if denial == "unauthorized":
            message = (
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
                "active subscription and use a correct regional API endpoint for your resource."
            )
            return _azure(401, "401", message)
        message = (
            "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
            "please wait a moment and try again."
        )
        return _azure(404, "DeploymentNotFound", message)

    def bad_request(self, reason: str) -> ErrorAnswer:
        return _azure(400, "BadRequest", reason)

    def throttled(self, refused: QuotaRefusal, name: str) -> ErrorAnswer:  # noqa: ARG002
        words: dict[Unit, str] = {"requests": "call rate", "tokens": "token rate", "concurrency": "concurrent request"}
        again = (
            "" if refused.retry_after_s is None else f" Please retry after {math.ceil(refused.retry_after_s)} seconds."
        )
        message = (
            "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded "
            f"{words[refused.unit]} limit of your current OpenAI S0 pricing tier.{again}"
        )
        return _azure(429, "429", message)

    def server_error(self) -> ErrorAnswer:
        return _azure(500, "InternalServerError", "The server had an error processing your request. Sorry about that!")

    def filtered(self) -> ErrorAnswer:
        message = (
            "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "
            "Please modify your prompt and retry."
        )
        inner = {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}},
        }
        error = {"message": message, "type": None, "param": "prompt", "code": "content_filter", "status": 400}
        return ErrorAnswer(400, {"error": {**error, "innererror": inner}})


OPENAI = OpenAIDialect()
AZURE = AzureDialect()
RESOURCE_NOT_FOUND = ErrorAnswer(404, {"error": {"code": "404", "message": "Resource not found"}})
"""What Azure says to a classic URL without api-version."""


def _openai(status: int, message: str, kind: str, code: str | None) -> ErrorAnswer:
    return ErrorAnswer(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def _azure(status: int, code: str, message: str) -> ErrorAnswer:
    return ErrorAnswer(status, {"error": {"code": code, "message": message}})
