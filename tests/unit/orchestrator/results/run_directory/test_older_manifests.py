"""Runs of older versions keep the defaults that they began with."""

from __future__ import annotations

import pytest

from orchestrator.results.run_directory.older_manifests import with_old_defaults

EAST = {"type": "azure", "endpoint": "https://x"}
RAW = {"providers": {"east": EAST, "gate": {"type": "gateway"}}, "run": {"seed": 1}}


def test_an_azure_run_of_an_older_version_stays_classic() -> None:
    upgraded = with_old_defaults(RAW, "0.1.0")
    assert upgraded == {**RAW, "providers": {"east": {**EAST, "api": "classic"}, "gate": {"type": "gateway"}}}


def test_what_the_file_said_of_the_api_stands() -> None:
    raw = {"providers": {"east": {"type": "azure", "api": "v1"}}}
    assert with_old_defaults(raw, "0.1.0") == raw


@pytest.mark.parametrize("version", ["0.2.0", "0.2.0.dev1", "1.0", "unknown"])
def test_a_run_of_today_is_left_as_it_is(version: str) -> None:
    assert with_old_defaults(RAW, version) is RAW
