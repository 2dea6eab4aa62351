"""Every error of the project, one tree. A branch says what the caller may do about it.

OrchestratorError
├─ InputError                 what a person gave us is wrong: one sentence, exit code 2
├─ StorageError               the run directory cannot be written: the run stops, what is committed stays
└─ ProviderError              one request to one instance did not end in an answer
   ├─ Throttled               wait: the limiter learns, the call goes on elsewhere or later; not an attempt
   ├─ Transient               try again within the bounds, then infra_failure
   │  ├─ TimedOut             .stage: connect, first_token, between_tokens, attempt
   │  ├─ ConnectionLost       reset, closed without an answer
   │  │  └─ Unreachable       refused, DNS, TLS: nothing was sent
   │  ├─ ServerFault          5xx, 529
   │  └─ Malformed            truncated JSON, a stream that ends early, an error object inside a 200
   ├─ Empty                   200, finished, no content: once more, elsewhere if possible; then model_failure
   ├─ Rejected                model_failure: known to concern this one request's content; never tried again
   │  ├─ ContentFiltered
   │  ├─ Truncated            finish reason "length" and no text
   │  ├─ ContextTooLong
   │  └─ InvalidToolCall      the server says that the model wrote a broken call
   ├─ Refused                 infra_failure: any other refusal; asked of a few other instances, once each; never scored
   │  └─ RequestTooLarge      more than a rate limit ever admits: this sample fails alone, the instance is not to blame
   └─ InstanceGone            give the instance up for good; the call goes to another; not an attempt
      ├─ AuthFailed           401, 403, a key that is refused in words
      ├─ OutOfQuota           insufficient_quota, a quota of zero, a wait that is no wait
      ├─ DeploymentMissing    404 on the deployment or model
      └─ Unusable             it refused different samples alike and answered none
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .messages import Adaptation, RateLimitHint, Usage

BODY_LIMIT = 4096
"""Characters of a raw response body that an error keeps."""


class OrchestratorError(Exception):
    """Anything that this project raises on purpose."""


def first_error(error: Exception) -> Exception:
    """Of an exception group the first that is none; any other error as it is."""
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
    """What is known about a request that failed: enough to wait, to retry, to record, or to give the instance up."""

    instance: str
    request_id: str
    status: int | None = None
    """HTTP status; None where no answer came."""
    body: str = ""
    """Start of the raw body, at most BODY_LIMIT characters."""
    hint: RateLimitHint | None = None
    usage: Usage | None = None
    """Tokens that the server says it spent although there is no answer."""
    response_id: str = ""
    resent: int = 0
    """As in Timing."""
    adaptation: Adaptation | None = None
    """As in ChatResponse."""


class ProviderError(OrchestratorError):
    """One request to one instance did not end in an answer."""

    error_class: ClassVar[str] = "provider"
    """The name that records and summaries use."""

    def __init__(self, message: str, evidence: Evidence) -> None:
        super().__init__(message)
        self.evidence = evidence

    @property
    def retry_after_s(self) -> float | None:
        """Seconds that the server asked to wait; None where it did not say."""
        return self.evidence.hint.retry_after_s if self.evidence.hint else None

    @property
    def was_sent(self) -> bool:
        """Whether the request may have reached the server: then it may have been billed, and may itself be what the server fails on."""
        return True


class Throttled(ProviderError):
    error_class = "throttled"


class Transient(ProviderError):
    """The same request may well succeed later."""


class TimedOut(Transient):
    error_class = "timeout"

    def __init__(self, message: str, evidence: Evidence, *, stage: str) -> None:
        super().__init__(message, evidence)
        self.stage = stage

    @property
    def was_sent(self) -> bool:
        return self.stage != "connect"


class ConnectionLost(Transient):
    error_class = "connection"


class Unreachable(ConnectionLost):
    @property
    def was_sent(self) -> bool:
        return False


class ServerFault(Transient):
    error_class = "server_error"


class Malformed(Transient):
    error_class = "malformed"


class Empty(ProviderError):
    error_class = "empty"


class Rejected(ProviderError):
    """The model cannot or will not answer this request: only what is known to concern its content."""


class ContentFiltered(Rejected):
    error_class = "content_filter"


class Truncated(Rejected):
    error_class = "length"


class ContextTooLong(Rejected):
    error_class = "context_length"


class InvalidToolCall(Rejected):
    error_class = "invalid_tool_call"


class Refused(ProviderError):
    """The request as it is configured is not taken, as far as anybody knows: never the model's failure."""

    error_class = "refused"


class RequestTooLarge(Refused):
    """It asks for more than a rate limit ever admits: waiting does not help, and no other sample is concerned."""

    error_class = "request_too_large"


class InstanceGone(ProviderError):
    """No request to this instance will ever succeed in this run."""


class AuthFailed(InstanceGone):
    error_class = "auth"


class OutOfQuota(InstanceGone):
    error_class = "out_of_quota"


class DeploymentMissing(InstanceGone):
    error_class = "deployment_missing"


class Unusable(InstanceGone):
    error_class = "refused"
