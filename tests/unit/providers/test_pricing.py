from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

import genai_prices
import pytest
from pydantic import ValidationError

from providers.messages import Usage
from providers.pricing import Price, _listed_rates, find_price

MILLION = Usage(input_tokens=1_000_000, output_tokens=1_000_000)


def price_usd(model: str, provider_type: str, usage: Usage, prices: Mapping[str, Price] | None = None) -> float | None:
    cost = find_price(model, provider_type, prices)
    return None if cost is None else cost(usage)


def test_a_listed_model_has_its_price() -> None:
    price = price_usd("gpt-4o-mini", "azure", MILLION)
    assert price == pytest.approx(0.75, rel=0.5)


def test_cached_input_is_cheaper() -> None:
    fresh, cached = (price_usd("gpt-4o-mini", "azure", Usage(1000, 0, cached_tokens=count)) for count in (0, 1000))
    assert fresh is not None
    assert cached is not None
    assert 0 < cached < fresh


@pytest.mark.parametrize(
    ("model", "provider_type"),
    [("no-such-model", "gateway"), ("gpt-4o-mini", "simulator"), ("my-finetune", "openai"), ("no-such-model", "azure")],
)
def test_what_nobody_knows_has_no_price(model: str, provider_type: str) -> None:
    assert price_usd(model, provider_type, MILLION) is None


def test_a_person_s_own_price_wins() -> None:
    prices = {"gpt-4o-mini": Price(input_per_million=1.0, output_per_million=2.0, cached_per_million=0.5)}
    usage = Usage(1_000_000, 1_000_000, cached_tokens=500_000)
    assert price_usd("gpt-4o-mini", "azure", usage, prices) == pytest.approx(0.5 + 0.25 + 2.0)
    assert price_usd("gpt-4o-mini", "simulator", usage, prices) == pytest.approx(2.75)


def test_cached_input_costs_as_other_input_where_it_is_not_said() -> None:
    prices = {"m": Price(input_per_million=1.0, output_per_million=2.0)}
    assert price_usd("m", "gateway", Usage(1_000_000, 0, cached_tokens=1_000_000), prices) == pytest.approx(1.0)


def test_a_price_below_nothing_is_refused() -> None:
    with pytest.raises(ValidationError):
        Price(input_per_million=-1.0, output_per_million=0.0)


def test_prices_come_without_the_network() -> None:
    program = """
import socket
def refuse(*_): raise SystemExit("the network was used")
socket.socket.connect = socket.getaddrinfo = refuse
from providers.messages import Usage
from providers.pricing import find_price
print(find_price("gpt-4o-mini", "azure")(Usage(1000, 1000)) > 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize(("model", "provider_type"), [("DeepSeek-R1-0528", "azure"), ("deepseek-chat", "gateway")])
def test_a_price_does_not_depend_on_the_hour(model: str, provider_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    listed = genai_prices.calc_price
    for hour in range(24):
        moment = datetime(2026, 11, 26, hour, 45, tzinfo=UTC)
        monkeypatch.setattr(genai_prices, "calc_price", partial(listed, genai_request_timestamp=moment))
        _listed_rates.cache_clear()
        found.add(price_usd(model, provider_type, MILLION))
    _listed_rates.cache_clear()
    assert len(found) == 1
    assert None not in found
