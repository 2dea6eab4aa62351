"""The one error for code that a person wrote: solvers, scorers and tools."""

from __future__ import annotations

from providers.errors import OrchestratorError


class UserCodeError(OrchestratorError):
    """A solver or scorer that a person wrote raised: the sample is not run, the run drains and can be resumed."""
