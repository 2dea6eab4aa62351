"""Every error of the project, as one tree. The branch of an error determines what the caller does about it.

OrchestratorError
├─ InputError                 the user's input is wrong: one sentence, exit code 2
├─ StorageError               the run directory cannot be written: the run stops, committed records stay
└─ ProviderError              one request to one instance did not return an answer
   ├─ Throttled               wait: the limiter adapts, the call continues elsewhere or later; not an attempt
   ├─ Transient               retry up to the limits, then infra_failure
   │  ├─ TimedOut             .stage: connect, first_token, between_tokens, attempt
   │  ├─ ConnectionLost       reset, closed without an answer
   │  │  └─ Unreachable       refused, DNS, TLS: nothing was sent
   │  ├─ ServerFault          5xx, 529
   │  └─ Malformed            truncated JSON, a stream that ends early, an error object inside a 200
   ├─ Empty                   200, finished, no content: retry once, elsewhere if possible; then model_failure
   ├─ Rejected                model_failure: known to concern the content of this one request; never retried
   │  ├─ ContentFiltered
   │  ├─ Truncated            finish reason "length" and no text
   │  ├─ ContextTooLong
   │  └─ InvalidToolCall      the server reports that the model wrote an invalid call
   ├─ Refused                 infra_failure: any other refusal; a few other instances are tried, once each; never scored
   │  └─ RequestTooLarge      larger than a rate limit ever admits: only this sample fails, the instance stays in use
   └─ InstanceGone            stop using the instance for the rest of the run; the call goes to another; not an attempt
      ├─ AuthFailed           401, 403, or an error message that rejects the key
      ├─ OutOfQuota           insufficient_quota, a quota of zero, a wait too long for a rate limit
      ├─ DeploymentMissing    404 on the deployment or model
      └─ Unusable             it refused several different samples in the same way and answered none
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .messages import Adaptation, RateLimitHint, Usage

BODY_LIMIT = 4096
"""Characters of a raw response body that an error keeps."""


class OrchestratorError(Exception):
    """The base class of every error that this project raises on purpose."""


def first_error(error: Exception) -> Exception:
    """Return the first error inside an exception group that is not a group; return any other error unchanged."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


class InputError(OrchestratorError):
    """A file, key, flag or environment variable is wrong; the message names it and says what to do, on one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split("\n")).strip())


class StorageError(OrchestratorError):
    """The run directory cannot be written or read; the message says why and what is safe."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about a failed request: enough to wait, to retry, to record it, or to stop using the instance."""

    instance: str
    request_id: str
    status: int | None = None
    """HTTP status; None where no response was received."""
    body: str = ""
    """Start of the raw body, at most BODY_LIMIT characters."""
    hint: RateLimitHint | None = None
    usage: Usage | None = None
    """Tokens that the server reports although there is no answer."""
    response_id: str = ""
    resent: int = 0
    """As in Timing."""
    adaptation: Adaptation | None = None
    """As in ChatResponse."""


class ProviderError(OrchestratorError):
    """One request to one instance did not return an answer."""

    error_class: ClassVar[str] = "provider"
    """The name of this error in records and summaries."""

    def __init__(self, message: str, evidence: Evidence) -> None:
        super().__init__(message)
        self.evidence = evidence

    @property
    def retry_after_s(self) -> float | None:
        """Seconds that the server asks to wait; None where it names none."""
        return self.evidence.hint.retry_after_s if self.evidence.hint else None

    @property
    def was_sent(self) -> bool:
        """Whether the request may have reached the server. If so, it may have been billed, and it may itself have caused the failure."""
        return True


class Throttled(ProviderError):
    """The server admits no more requests for now; the call waits and is not counted as an attempt."""

    error_class = "throttled"


class Transient(ProviderError):
    """A failure after which the same request may succeed later."""


class TimedOut(Transient):
    """A phase of the call exceeded its timeout; `stage` is connect, first_token, between_tokens or attempt."""

    error_class = "timeout"

    def __init__(self, message: str, evidence: Evidence, *, stage: str) -> None:
        super().__init__(message, evidence)
        self.stage = stage

    @property
    def was_sent(self) -> bool:
        """False where the connection itself timed out."""
        return self.stage != "connect"


class ConnectionLost(Transient):
    """The connection was reset or closed without an answer."""

    error_class = "connection"


class Unreachable(ConnectionLost):
    """No connection could be opened (refused, DNS, TLS); nothing was sent."""

    @property
    def was_sent(self) -> bool:
        """Always False."""
        return False


class ServerFault(Transient):
    """The server failed: a 5xx status, or 529."""

    error_class = "server_error"


class Malformed(Transient):
    """The response cannot be read: truncated JSON, a stream that ends early, or an error object inside a 200."""

    error_class = "malformed"


class Empty(ProviderError):
    """The model finished, but the response holds neither text nor a tool call."""

    error_class = "empty"


class Rejected(ProviderError):
    """The model cannot or will not answer this request, and the content of the request is known to be the cause."""


class ContentFiltered(Rejected):
    """A content filter refused the request or stopped the answer."""

    error_class = "content_filter"


class Truncated(Rejected):
    """The token limit was used up before any text was written (finish reason "length")."""

    error_class = "length"


class ContextTooLong(Rejected):
    """The request is longer than the model's context."""

    error_class = "context_length"


class InvalidToolCall(Rejected):
    """The server reports that the model wrote an invalid tool call."""

    error_class = "invalid_tool_call"


class Refused(ProviderError):
    """The server refused the request for a reason that is not known to concern its content; never a failure of the model."""

    error_class = "refused"


class RequestTooLarge(Refused):
    """The request is larger than a rate limit ever admits: waiting does not help, and other samples are not affected."""

    error_class = "request_too_large"


class InstanceGone(ProviderError):
    """No further request to this instance can succeed in this run."""


class AuthFailed(InstanceGone):
    """The server does not accept the key."""

    error_class = "auth"


class OutOfQuota(InstanceGone):
    """The quota of the account is used up."""

    error_class = "out_of_quota"


class DeploymentMissing(InstanceGone):
    """The server has no such deployment or model."""

    error_class = "deployment_missing"


class Unusable(InstanceGone):
    """The instance refused several different samples in the same way and answered none."""

    error_class = "refused"
