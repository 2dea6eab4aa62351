"""The errors of Azure and OpenAI, word for word, as the client must understand them.

The dialect follows from the called URL, as with the real services.
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
    """An error response; Google's bodies are lists."""

    status: int
    body: dict[str, object] | list[dict[str, object]]


class Dialect(Protocol):
    """The error format of a vendor."""

    filters_by_status: bool
    """Whether a filtered prompt is answered with status 400; otherwise with a finish reason."""
    tells_filter_results: bool
    """Whether answers contain prompt_filter_results; in a stream they are in a first chunk without choices."""

    def denied(self, denial: Denial, name: str) -> ErrorAnswer:
        """Build the error of an unknown key or name."""
        ...

    def bad_request(self, reason: str) -> ErrorAnswer:
        """Build the error of a body that cannot be read."""
        ...

    def throttled(self, refused: QuotaRefusal, name: str) -> ErrorAnswer:
        """Build the error of an exceeded limit."""
        ...

    def server_error(self, message: str | None = None) -> ErrorAnswer:
        """Build the error of a failed server, in its own words if no message is given."""
        ...

    def filtered(self) -> ErrorAnswer:
        """Build the error of a filtered prompt."""
        ...


class OpenAIDialect:
    """The errors of OpenAI."""

    filters_by_status = False
    tells_filter_results = False

    def denied(self, denial: Denial, name: str) -> ErrorAnswer:
        """Build a 401 for an unknown key, a 404 for an unknown model."""
        if denial == "unauthorized":
            message = "Incorrect API key provided. You can find your API key in the settings of your account."
            return _openai(401, message, "invalid_request_error", "invalid_api_key")
        message = f"The model `{name}` does not exist or you do not have access to it."
        return _openai(404, message, "invalid_request_error", "model_not_found")

    def bad_request(self, reason: str) -> ErrorAnswer:
        """Build a 400 with a reason."""
        return _openai(400, reason, "invalid_request_error", None)

    def throttled(self, refused: QuotaRefusal, name: str) -> ErrorAnswer:
        """Build a 429 that names the exceeded limit and the wait."""
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

    def server_error(self, message: str | None = None) -> ErrorAnswer:
        """Build a 500."""
        message = message or "The server had an error while processing your request. Sorry about that!"
        return _openai(500, message, "server_error", None)

    def filtered(self) -> ErrorAnswer:
        """Build a 400 with code content_filter."""
        return _openai(
            400, "Invalid prompt: it was flagged by our usage policy.", "invalid_request_error", "content_filter"
        )


class AzureDialect:
    """The errors of Azure OpenAI."""

    filters_by_status = True
    tells_filter_results = True

    def denied(self, denial: Denial, name: str) -> ErrorAnswer:  # noqa: ARG002 - Azure does not repeat the name
        """Build a 401 for an unknown key, a 404 for an unknown deployment."""
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
        """Build a 400 with a reason."""
        return _azure(400, "BadRequest", reason)

    def throttled(self, refused: QuotaRefusal, name: str) -> ErrorAnswer:  # noqa: ARG002
        """Build a 429 that names the exceeded limit and the wait."""
        words: dict[Unit, str] = {"requests": "call rate", "tokens": "token rate", "concurrency": "concurrent request"}
        again = (
            "" if refused.retry_after_s is None else f" Please retry after {math.ceil(refused.retry_after_s)} seconds."
        )
        message = (
            "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded "
            f"{words[refused.unit]} limit of your current OpenAI S0 pricing tier.{again}"
        )
        return _azure(429, "429", message)

    def server_error(self, message: str | None = None) -> ErrorAnswer:
        """Build a 500."""
        message = message or "The server had an error processing your request. Sorry about that!"
        return _azure(500, "InternalServerError", message)

    def filtered(self) -> ErrorAnswer:
        """Build a 400 with the report of the content filter."""
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
"""Azure's answer to a classic URL without api-version."""


def _openai(status: int, message: str, kind: str, code: str | None) -> ErrorAnswer:
    return ErrorAnswer(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def _azure(status: int, code: str, message: str) -> ErrorAnswer:
    return ErrorAnswer(status, {"error": {"code": code, "message": message}})
