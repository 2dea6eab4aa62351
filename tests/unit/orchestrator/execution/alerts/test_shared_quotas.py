"""A quota that was found behind several instances: remembered by a run, used by the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from orchestrator.cli.limits import limit_cells
from orchestrator.execution.alerts.shared_quotas import QUOTA_GROUP, learned_of, limiter_reports
from orchestrator.execution.limits.limiting import Limiting, build_dispatchers
from providers.instance import Instance
from providers.messages import JSON
from runners.dispatch.dispatcher import Dispatcher
from runners.event_loop.virtual_time import run_virtual
from tests.unit.runners.doubles import an_instance

INSTANCES = [an_instance(name, workers=4) for name in "abcd"]
IDENTITIES = {name: f"https://one.example deployment-{name} KEY" for name in "abcd"}
GROUP = [IDENTITIES[name] for name in "abc"]
LEARNED: Mapping[str, Mapping[str, JSON]] = {name: {"version": 1, QUOTA_GROUP: GROUP} for name in "abc"}


class Said:
    def __init__(self) -> None:
        self.shared: list[Mapping[str, JSON]] = []

    def __call__(self, instance: str, event: str, what: Mapping[str, JSON]) -> None:
        if event == "quota_shared":
            self.shared.append({"instance": instance, **what})


def started(
    instances: list[Instance], learned: Mapping[str, Mapping[str, JSON]], mode: str = "adaptive"
) -> tuple[Dispatcher, Said]:
    said = Said()
    senders = {instance.provider: None for instance in instances}
    made = build_dispatchers({"m": instances}, senders, Limiting(mode, said, learned))  # type: ignore[arg-type]
    return made["m"], said


def limiters(dispatcher: Dispatcher) -> dict[str, int]:
    """A number of its own for every limiter, by instance."""
    seen = list(dict.fromkeys(id(instance_state.limiter) for instance_state in dispatcher.instance_states.values()))
    return {name: seen.index(id(instance_state.limiter)) for name, instance_state in dispatcher.instance_states.items()}


def test_the_next_run_starts_shared_and_says_so() -> None:
    dispatcher, said = started(INSTANCES, LEARNED)
    assert limiters(dispatcher) == {"a": 0, "b": 0, "c": 0, "d": 1}
    (told,) = said.shared
    assert (told["instance"], told["instances"], told["is_remembered"]) == ("a", ["a", "b", "c"], True)
    assert "a, b and c share one quota" in str(told["evidence"])


def test_the_shared_limiter_has_room_for_all_of_them() -> None:
    async def scene() -> None:
        dispatcher, _ = started(INSTANCES, LEARNED)
        assert dispatcher.instance_states["a"].limiter.snapshot(0.0)["cap"] == 8, (
            "the first cap, which four workers would bound"
        )
        assert dispatcher.instance_states["d"].limiter.snapshot(0.0)["cap"] == 4

    run_virtual(scene())


@pytest.mark.parametrize(
    ("instances", "learned", "mode"),
    [
        (INSTANCES, {}, "adaptive"),
        (INSTANCES, LEARNED, "fixed"),
        (INSTANCES[2:], LEARNED, "adaptive"),
        ([replace(one, provider=f"of {one.name}") for one in INSTANCES], LEARNED, "adaptive"),
        (INSTANCES[:2], {"a": {QUOTA_GROUP: GROUP}, "b": {QUOTA_GROUP: "damaged"}}, "adaptive"),
    ],
    ids=["nothing learnt", "a fixed rate", "one of a group", "other endpoints", "damaged"],
)
def test_the_others_start_apart(
    instances: list[Instance], learned: Mapping[str, Mapping[str, JSON]], mode: str
) -> None:
    dispatcher, said = started(instances, learned, mode)
    assert len(set(limiters(dispatcher).values())) == len(instances)
    assert not said.shared


async def test_a_group_of_the_file_stays_what_the_file_says() -> None:
    grouped = [replace(one, limiter_group="x" if one.name in "ad" else one.name) for one in INSTANCES]
    dispatcher, said = started(grouped, LEARNED)
    assert limiters(dispatcher) == {"a": 0, "b": 1, "c": 1, "d": 0}
    assert said.shared[0]["instances"] == ["b", "c"]
    learned = learned_of(limiter_reports({"m": dispatcher}), IDENTITIES)
    assert QUOTA_GROUP not in learned[IDENTITIES["a"]]


async def test_what_is_remembered_is_read_back_as_the_same_group() -> None:
    dispatcher, _ = started(INSTANCES, LEARNED)
    stored = learned_of(limiter_reports({"m": dispatcher}), IDENTITIES)
    assert stored[IDENTITIES["b"]][QUOTA_GROUP] == GROUP
    assert QUOTA_GROUP not in stored[IDENTITIES["d"]]
    again, _ = started(INSTANCES, {name: stored[identity] for name, identity in IDENTITIES.items()})
    assert limiters(again) == limiters(dispatcher)


def test_limits_show_tells_of_how_many_they_are() -> None:
    assert (
        limit_cells({"cap": 8, "level": 2, "limits": {"requests": 200.0}, QUOTA_GROUP: GROUP})[-1]
        == "60 s, shared by 3"
    )
