"""A model that is refused, unreadable or ungradable too often is told of, once, in the server's words."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from orchestrator.execution.alerts.refusal_watch import WINDOW, RefusalWatch
from providers.messages import JSON
from tests.unit.runners.doubles import a_record


def seen(*classes: str | None, model: str = "m") -> tuple[RefusalWatch, list[Mapping[str, JSON]]]:
    told: list[Mapping[str, JSON]] = []
    watch = RefusalWatch(told.append)
    for number, error_class in enumerate(classes):
        outcome = "infra_failure" if error_class else "ok"
        watch.note(
            a_record(number, outcome, model=model, error_class=error_class, error_message=f"p/m: no {number} here")
        )
    return watch, told


@pytest.mark.parametrize("error_class", ["refused", "request_too_large", "malformed", "judge_format"])
def test_more_than_a_fifth_is_told_of_once(error_class: str) -> None:
    watch, told = seen(*[None, None, None, error_class] * 40)
    assert [row["model"] for row in told] == ["m"]
    assert len(watch.sentences) == 1
    assert "no 19 here" in watch.sentences[0]


@pytest.mark.parametrize(
    "classes",
    [
        [None, None, None, None, "refused"] * 40,
        ["refused"] * 4,
        [*[None] * 16, *["refused"] * 4] * 9,
        ["server_error", "throttled", "timeout_connect"] * 40,
    ],
    ids=["a fifth", "four", "a fifth at once", "other failures"],
)
def test_a_fifth_is_not_told_of_and_neither_are_outages(classes: list[str | None]) -> None:
    watch, told = seen(*classes)
    assert (watch.sentences, told) == ((), [])


def test_only_the_last_samples_count() -> None:
    watch, told = seen(*[None] * 1000, *["refused"] * 21)
    assert len(told) == 1
    assert f"of the last {WINDOW} samples of m 21 refused" in watch.sentences[0]


def test_what_was_refused_alike_is_listed_in_one_line() -> None:
    watch, _ = seen("refused", None, "refused", "malformed", "refused")
    assert watch.listing == ("3 refused: p/m: no 0 here",)
