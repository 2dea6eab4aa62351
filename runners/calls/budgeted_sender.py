"""A sender that pays: every request is set aside from a budget before it is sent, and settled by its answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from providers.errors import ProviderError
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse
from providers.provider import Sender
from providers.usage.estimates import TokenEstimator

from ..limits.permit import Cost
from .budget import Budget


@dataclass(slots=True)
class BudgetedSender:
    """Sends through `sender` as long as the purse has room. Raises LimitReached, and what `sender` raises."""

    sender: Sender
    budget: Budget
    output_tokens: int
    """Reckoned with where a request sets no bound."""
    estimator: TokenEstimator = field(default_factory=TokenEstimator)

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Reserve the estimated cost, send the request, and commit what was used.

        A failed request commits what its error reports. A request that is cancelled commits its reserve as unknown.
        """
        input_tokens = self.estimator.estimate(request.messages, request.tools)
        limit = request.generation.output_limit
        cost = Cost(input_tokens, self.output_tokens if limit is None else limit)
        aside = await self.budget.reserve(on.model, cost)
        try:
            response = await self.sender.complete(on, request, request_id=request_id, deadline=deadline)
        except ProviderError as error:
            self.budget.commit_failed(on.model, aside, error)
            raise
        except BaseException:
            self.budget.commit_unknown(on.model, aside)
            raise
        self.budget.commit(on.model, aside, response.usage)
        self.estimator.learn(request.messages, request.tools, response.usage)
        return response
