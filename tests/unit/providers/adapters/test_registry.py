from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from providers.adapters import registry
from providers.adapters.openai_compatible import OPENAI
from providers.adapters.registry import AdapterType, adapter_type
from providers.errors import InputError


@pytest.mark.parametrize("name", ["azure", "gateway", "openai"])
def test_a_built_in_type_is_found_by_its_name(name: str) -> None:
    assert isinstance(adapter_type(name), AdapterType)


def test_an_unknown_type_is_named_with_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"no provider type 'azur'; did you mean \"azure\"\? Known: azure, gateway, openai"
    ):
        adapter_type("azur")


def offer(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Pretend that an installed package declares the entry point `mine`."""
    points = EntryPoints([EntryPoint("mine", value, registry.ENTRY_POINT_GROUP)])
    monkeypatch.setattr(registry, "entry_points", lambda **wanted: points.select(**wanted))


def test_an_entry_point_is_a_type(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "providers.adapters.openai_compatible:OPENAI")
    assert adapter_type("mine") is OPENAI


@pytest.mark.parametrize("value", ["no_such_package:THING", "providers.adapters.registry:NO_SUCH_THING"])
def test_an_entry_point_that_cannot_be_imported_says_so(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    offer(monkeypatch, value)
    with pytest.raises(InputError, match=r"'mine'.*cannot be imported"):
        adapter_type("mine")


def test_an_entry_point_of_another_kind_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "providers.adapters.registry:ENTRY_POINT_GROUP")
    with pytest.raises(InputError, match="'mine' is not an AdapterType but str"):
        adapter_type("mine")


def test_checking_settings_imports_neither_aiohttp_nor_openai() -> None:
    program = """
import sys
from providers.adapters.registry import adapter_type
for name in ("azure", "gateway", "openai"):
    adapter_type(name)
adapter_type("openai").settings.model_validate({"type": "openai", "base_url": "http://h/v1"})
print(sorted({"aiohttp", "openai", "genai_prices"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
