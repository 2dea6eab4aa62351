"""The package's face: what it offers, imported when it is first asked for."""

from __future__ import annotations

import pytest

import orchestrator
from orchestrator import api
from orchestrator.results import run as results
from providers.errors import InputError
from runners.samples.answer import Answer


@pytest.mark.parametrize("name", orchestrator.__all__)
def test_everything_that_is_promised_is_there(name: str) -> None:
    assert getattr(orchestrator, name) is not None
    assert name in dir(orchestrator)


def test_names_are_the_things_themselves() -> None:
    assert orchestrator.run is api.run
    assert orchestrator.Run is results.Run
    assert orchestrator.Answer is Answer
    assert orchestrator.InputError is InputError
    assert issubclass(orchestrator.RunStopped, orchestrator.OrchestratorError)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'orchestrator' has no attribute 'rnu'"):
        orchestrator.rnu  # noqa: B018 - asking is the test
