"""The cost of an answer: from the user's own prices, else from the price list that ships with genai-prices. Nothing is downloaded.

The list is imported on first use (0.2 s) and read once per model; after that, a cost takes three multiplications. A price that changes
during a run keeps the value of the first record. No price depends on the hour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from .messages import Usage

_PRICED_AS: Mapping[str, str | None] = {
    "azure": "azure",
    "openai": "openai",  # a self-hosted server serves models that OpenAI does not sell: they have no price
    "gateway": None,  # resells models of all vendors: the price follows from the model's name
}


class Price(BaseModel):
    """What a model costs, in US dollars per million tokens: one row of `prices:` in the user's file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    input_per_million: float = Field(ge=0)
    """Input that was not read from a cache."""
    output_per_million: float = Field(ge=0)
    """Output, reasoning included."""
    cached_per_million: float | None = Field(default=None, ge=0)
    """Price of input read from the provider's cache; None means `input_per_million`."""


@dataclass(frozen=True, slots=True)
class _Rates:
    """US dollars per token."""

    input: float
    output: float
    cached: float

    def cost(self, usage: Usage) -> float:
        cached = min(usage.cached_tokens, usage.input_tokens)
        fresh = usage.input_tokens - cached
        return fresh * self.input + cached * self.cached + usage.output_tokens * self.output


def find_price(
    model: str, provider_type: str, prices: Mapping[str, Price] | None = None
) -> Callable[[Usage], float] | None:
    """Return the function from usage to cost in US dollars; None where no price is known (a simulator, a self-hosted server)."""
    price = prices.get(model) if prices else None
    rates = _listed_rates(model, provider_type) if price is None else _rates_of(price)
    return None if rates is None else rates.cost


@cache
def _rates_of(price: Price) -> _Rates:
    cached = price.input_per_million if price.cached_per_million is None else price.cached_per_million
    return _Rates(price.input_per_million / 1e6, price.output_per_million / 1e6, cached / 1e6)


@cache
def _listed_rates(model: str, provider_type: str) -> _Rates | None:
    if provider_type not in _PRICED_AS:
        return None
    from genai_prices import Usage as TokenCounts
    from genai_prices import calc_price

    try:
        listed = calc_price(TokenCounts(input_tokens=1, output_tokens=1), model, provider_id=_PRICED_AS[provider_type])
    except LookupError:
        return None
    price = _at_any_hour(listed.model.prices, listed.model_price)
    input_per_million = _base_price(getattr(price, "input_mtok", None))
    output_per_million = _base_price(getattr(price, "output_mtok", None))
    if input_per_million is None or output_per_million is None:
        return None
    cached = _base_price(getattr(price, "cache_read_mtok", None))
    cached = input_per_million if cached is None else cached
    return _Rates(input_per_million / 1e6, output_per_million / 1e6, cached / 1e6)


def _at_any_hour(prices: object, now: Any) -> Any:
    """Return the price of the dearest hour: what a vendor charges by the hour, those who resell its model do not.

    A limit on the cost then errs on the safe side. `prices` may change by date; `now` is the price at this moment.
    """
    from genai_prices.types import TimeOfDateConstraint

    by_hour = [
        row.prices
        for row in (prices if isinstance(prices, list) else ())
        if isinstance(row.constraint, TimeOfDateConstraint)
    ]
    return max([now, *by_hour], key=lambda price: _base_price(price.input_mtok) or 0.0)


def _base_price(price: object) -> float | None:
    """Return a price, of a tiered one the lowest tier: prompts of 200,000 tokens do not occur in an evaluation."""
    base = getattr(price, "base", price)
    return float(base) if isinstance(base, Decimal | int | float) else None
