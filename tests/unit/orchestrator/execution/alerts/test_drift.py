"""Another model behind one instance is found; equal instances raise no alarm."""

from __future__ import annotations

import random

import pytest

from orchestrator.execution.alerts.drift import DriftReply, find_drift
from orchestrator.results.stats.fisher import fisher_more


def replies(
    *texts: str | None, model: str = "m-1", fingerprint: str = "fp", latency_s: float = 1.0
) -> list[DriftReply]:
    return [DriftReply(text, model, fingerprint, latency_s) if text is not None else DriftReply(None) for text in texts]


def test_an_instance_that_names_another_model_is_found() -> None:
    found = find_drift("m", {"a": replies("1", "2"), "b": replies("1", "2"), "c": replies("1", "2", model="m-2")})
    assert [bool(one.drifts) for one in found] == [False, False, True]
    assert found[2].drifts == ("its answers name the model 'm-2', the others' 'm-1'",)


def test_an_instance_that_names_a_model_is_found_among_those_that_give_back_what_was_asked_for() -> None:
    echo = replies("1", "2", model="")
    found = find_drift("m", {"a": echo, "b": echo, "c": replies("1", "2", model="m-2")})
    assert [one.drifts for one in found] == [
        (),
        (),
        ("its answers name the model 'm-2', the others' the one asked for",),
    ]
    named = replies("1", "2", model="m-2")
    assert not any(one.drifts for one in find_drift("m", {"a": named, "b": named, "c": echo}))


def test_an_instance_that_answers_otherwise_is_found_with_five_canaries() -> None:
    same, other = replies(*"abcde"), replies(*"vwxyz")
    found = find_drift("m", {"a": same, "b": same, "c": other})
    assert [one.disagreements for one in found] == [0, 0, 5]
    assert found[2].drifts[0].startswith("5 of 5 answers differ")
    assert not found[0].drifts


def test_of_two_instances_that_differ_the_answers_alone_accuse_one_at_most() -> None:
    found = find_drift("m", {"a": replies(*"abcde"), "b": replies(*"vwxyz")})
    assert sum(bool(one.drifts) for one in found) == 1


def test_instances_that_all_vary_raise_no_alarm() -> None:
    alarms = 0
    for trial in range(100):
        draws = random.Random(trial)
        asked = {name: replies(*(draws.choice("aaaaaaaaab") for _ in range(5))) for name in "xyz"}
        alarms += any(one.drifts for one in find_drift("m", asked))
    assert alarms == 0


def test_fingerprints_and_latency_are_notes_and_no_alarm() -> None:
    slow = replies("1", "2", fingerprint="new", latency_s=9.0)
    found = find_drift("m", {"a": replies("1", "2"), "b": replies("1", "2"), "c": slow})
    assert found[2].drifts == ()
    assert found[2].notes == ("system fingerprint new, elsewhere fp", "9.0 times as slow as is usual")


def test_what_does_not_answer_has_not_drifted() -> None:
    silent = [DriftReply(None, error="HTTP 400"), DriftReply(None, error="HTTP 401")]
    found = find_drift("m", {"a": replies("1", "2"), "b": replies("1", "2"), "c": silent})
    assert (found[2].answered, found[2].drifts, found[2].notes) == (0, (), ())
    assert [one.unanswered for one in found] == ["", "", "answered 0 of 2: HTTP 401"]


def test_fishers_test_has_its_published_value() -> None:
    # the lady tasting tea: all four right, and three of four
    assert fisher_more(4, 4, 0, 4) == pytest.approx(1 / 70)
    assert fisher_more(3, 4, 1, 4) == pytest.approx(17 / 70)
    assert fisher_more(0, 0, 0, 0) == 1.0
