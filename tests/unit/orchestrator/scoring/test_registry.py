"""Scorers by name: the built-in ones, configured ones, a person's own, and what is said of a wrong one."""

from __future__ import annotations

from typing import Any, cast

import pytest

from orchestrator.scoring.registry import COMPARISONS, build_scorer, spelt_out
from providers.errors import InputError
from runners.answer import Answer, UserCodeError
from runners.client import ModelClient
from sharding.plan import Cell, Sample
from sharding.task import Task

NO_MODEL = cast(ModelClient, None)
SAMPLE = Sample(0, "s", Task("t", [{"role": "user", "content": "?"}], target="7"), Cell("m", "baseline", 1.0), 0, 0)


@pytest.mark.parametrize("name", [*COMPARISONS, '{"pattern": "\\\\d", "type": "regex"}', '{"type": "exact"}'])
async def test_every_built_in_scorer_accepts_the_target_itself(name: str) -> None:
    assert (await build_scorer(name)(SAMPLE, Answer("7"), NO_MODEL)).grade == "full"
    assert (await build_scorer(name)(SAMPLE, Answer("8"), NO_MODEL)).grade == "failed"


def test_a_scorer_with_settings_has_one_name_whatever_the_order_of_its_keys() -> None:
    assert spelt_out("exact") == "exact"
    assert spelt_out({"type": "regex", "pattern": "x"}) == spelt_out({"pattern": "x", "type": "regex"})


@pytest.mark.parametrize(
    ("scorer", "says"),
    [
        ("numerc", "no scorer 'numerc'; did you mean \"numeric\"?"),
        ({"type": "regex"}, "the regex scorer needs a pattern"),
        ({"type": "regex", "pattern": "("}, "the regex scorer's pattern is not valid"),
        ({"type": "regx", "pattern": "x"}, "no scorer 'regx'; did you mean \"regex\"?"),
        ("no_such_module:f", "cannot import no_such_module for the scorer no_such_module:f"),
    ],
)
def test_a_wrong_scorer_is_one_sentence(scorer: str | dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        build_scorer(spelt_out(scorer))
    assert says in str(caught.value)


async def test_an_exception_of_a_persons_own_scorer_is_theirs() -> None:
    with pytest.raises(UserCodeError, match=r"the scorer json:loads raised TypeError on task t: "):
        await build_scorer("json:loads")(SAMPLE, Answer("7"), NO_MODEL)
