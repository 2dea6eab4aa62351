"""Ladders against servers whose limits are known, on a virtual clock: what is found is what was hidden."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.capacity.display.ladder_result import ladder_document
from orchestrator.capacity.measurement.bench import Bench, RungDuration
from orchestrator.capacity.measurement.rung import Rung
from orchestrator.capacity.measurement.spec import in_contrast
from orchestrator.capacity.search.ab_test import AbTest, differences, run_ab_test
from orchestrator.capacity.search.binding import StatedLimits
from orchestrator.capacity.search.ladder import Ladder, climb, conclude, share_a_quota
from orchestrator.capacity.search.next_step import RUNGS, LadderPlan
from orchestrator.capacity.search.rate_search import RateSearch, find_concurrency
from orchestrator.capacity.search.recommendation import learned_limits, recommendation_of
from orchestrator.capacity.search.rules import Rules
from orchestrator.capacity.workload.prompts import Lengths, SyntheticPrompts
from orchestrator.capacity.workload.workload import Workload
from providers.instance import Instance
from providers.messages import Usage
from providers.simulator.answers.source import EchoAnswers
from providers.simulator.in_process import InProcessSimulator
from providers.simulator.settings.provider import SimulatorSettings
from runners.calls.budget import Budget, BudgetLimits
from runners.calls.budgeted_sender import BudgetedSender
from runners.event_loop.virtual_time import run_virtual
from runners.limits.adaptive.state import AdaptiveLimits
from runners.load.run_load import Target

UNTIMED = Rules(max_cpu_share=math.inf, max_lag_s=math.inf)
"""A virtual clock jumps: what the client's own time says means nothing here."""
WORKLOAD = Workload("w", 400, 100, SyntheticPrompts(Lengths(200, 600), Lengths(100, 100)))


def target(*endpoints: dict[str, Any]) -> tuple[Target, InProcessSimulator]:
    """One deployment for each; every answer is 100 tokens long."""
    names = [f"m-{number}" for number in range(len(endpoints))]
    settings = SimulatorSettings.model_validate({"deployments": dict(zip(names, endpoints, strict=True))})
    simulator = InProcessSimulator(settings, EchoAnswers(200), {name: ("SIMULATOR_KEY", name) for name in names})
    instances = [Instance(name, "m", name, "sim", name) for name in names]
    return Target(instances, {"sim": simulator}, WORKLOAD.request, 300), simulator


def ladder(
    plan: LadderPlan, rung_duration: RungDuration, *endpoints: dict[str, Any], measured: Sequence[Rung] = ()
) -> Ladder:
    async def run() -> Ladder:
        load, simulator = target(*endpoints)
        rungs = await climb(Bench(load, rung_duration), plan, StatedLimits(), measured, lambda _rungs: None)
        simulator.close()
        return conclude("m", "m", StatedLimits(), plan, rungs)

    return run_virtual(run())


LATENCY = {"ttft_s": 0.7, "itl_s": 0.05}
"""5.7 s for an answer."""
HOLDING = {"tpm": 13_500, "on_limit": "hold", "rate_limit_headers": False, "latency": LATENCY}
MINUTES = RungDuration(window_s=60.0)


@pytest.mark.parametrize("quota", ["sliding", "fixed"])
def test_a_quota_of_tokens_that_holds_is_named_without_a_single_refusal(quota: str) -> None:
    plan = LadderPlan((1, 2, 4, 8, 16), replace(UNTIMED, max_ttft_s=math.inf), stops=False, refines=False)
    found = ladder(plan, RungDuration(window_s=60.0, duration_s=240.0), {**HOLDING, "quota": quota})
    assert all(one.measures.throttled == 0 for one in found.rungs)
    assert found.found.optimum == 4
    assert found.binding.limit == "TPM"
    assert found.binding.tpm_ceiling == pytest.approx(13_500, rel=0.04)
    assert {its.verdict for its in found.found.judged[3:]} == {"FAIL-QUOTA"}


ALIKE = Workload("w", 400, 100, SyntheticPrompts(Lengths(400, 400), Lengths(100, 100)))
"""Requests and tokens that are held look the same."""
CLIMB = LadderPlan((1, 2, 4, 8, 16), replace(UNTIMED, max_ttft_s=math.inf), stops=False, refines=False, contrasts=True)
SATURATED = {"latency": {**LATENCY, "saturates_at": 2}}
QUEUED = {"latency": {**LATENCY, "seats": 3}}


@pytest.mark.parametrize(
    ("endpoint", "limit"),
    [
        ({**HOLDING, "quota": "fixed"}, "TPM"),
        ({**HOLDING, "quota": "sliding"}, "TPM"),
        ({**HOLDING, "tpm": None, "rpm": 27, "quota": "fixed"}, "RPM"),
        ({**HOLDING, "tpm": None, "rpm": 27, "quota": "sliding"}, "RPM"),
    ],
)
def test_requests_of_another_length_tell_what_requests_that_are_alike_do_not(
    endpoint: dict[str, Any], limit: str
) -> None:
    async def run(plan: LadderPlan) -> Ladder:
        load, simulator = target(endpoint)
        contrast = in_contrast(ALIKE)
        assert contrast is not None
        bench = Bench(replace(load, ask=ALIKE.request), RungDuration(window_s=60.0), contrast=contrast.request)
        rungs = await climb(bench, plan, StatedLimits(), (), lambda _rungs: None)
        simulator.close()
        return conclude("m", "m", StatedLimits(), plan, rungs)

    blind = run_virtual(run(replace(CLIMB, contrasts=False)))
    assert blind.binding.limit in {"quota", "held or saturated"}
    found = run_virtual(run(CLIMB))
    assert found.binding.limit == limit
    assert [one.phase for one in found.rungs] == ["climb"] * 5 + ["contrast"]
    assert found.found.limit == blind.found.limit
    assert [row["phase"] for row in ladder_document(found)["rungs"]] == ["climb"] * 5
    contrast = ladder_document(found)["contrast"]
    assert contrast is not None
    assert contrast["phase"] == "contrast"


@pytest.mark.parametrize("endpoint", [SATURATED, QUEUED])
def test_answers_that_slow_down_are_a_busy_servers_without_any_contrast(endpoint: dict[str, Any]) -> None:
    found = ladder(CLIMB, RungDuration(), endpoint)
    assert (found.binding.limit, found.binding.sureness) == ("capacity", "certain")
    assert found.contrast is None


KNEE = {"latency": {"ttft_s": 0.2, "itl_s": 0.003, "noise": 0.1, "saturates_at": 16}}


def test_a_knee_is_found_and_its_recommendation_holds() -> None:
    found = ladder(LadderPlan(rules=UNTIMED), RungDuration(), KNEE)
    assert found.found.limit == pytest.approx(16, rel=0.15)
    assert found.found.stop is not None
    assert found.found.stop.rule == "FAIL-GAIN"
    assert (found.binding.limit, found.binding.sureness) == ("capacity", "certain")
    assert found.interval is not None
    assert found.interval.low <= 16 <= found.interval.high
    assert found.is_complete
    advice = recommendation_of(found)
    assert advice is not None
    assert advice.is_verified
    assert 0.7 <= advice.concurrency / advice.limit <= 0.8
    learned = learned_limits(found)
    assert learned is not None
    assert AdaptiveLimits(most=None, restored=learned).snapshot(0.0)["cap"] == advice.limit


@pytest.mark.parametrize("retry_after", ["exact", pytest.param("none", marks=pytest.mark.matrix)])
def test_a_quota_before_a_knee_is_never_called_a_capacity(retry_after: str) -> None:
    found = ladder(LadderPlan(rules=UNTIMED), MINUTES, {**KNEE, "rpm": 300, "retry_after": retry_after})
    assert found.found.stop is not None
    assert found.found.stop.rule == "FAIL-QUOTA"
    assert (found.binding.limit, found.binding.sureness) == ("RPM", "certain")
    assert found.binding.qpm_ceiling == pytest.approx(300, rel=0.04)
    learned = learned_limits(found)
    assert learned is not None
    assert AdaptiveLimits(most=None, restored=learned).snapshot(0.0)["limits"] is not None


@pytest.mark.parametrize("quota", [pytest.param("sliding", marks=pytest.mark.matrix), "fixed"])
def test_what_stored_credit_carried_is_neither_recommended_nor_a_ceiling(quota: str) -> None:
    found = ladder(LadderPlan(rules=UNTIMED), RungDuration(), {**KNEE, "rpm": 300, "quota": quota})
    assert found.binding.limit == "RPM"
    assert max(one.measures.qpm for one in found.rungs) > 1_000
    assert found.binding.qpm_ceiling is not None
    assert (
        285 <= found.binding.qpm_ceiling <= 600
    )  # in the minute before a refusal two fixed windows may each give theirs
    document = ladder_document(found)
    assert (document["limit"], document["at_least"], document["recommended"], document["paste"]) == (None,) * 3 + ("",)
    assert "run again with --window 60" in document["no_recommendation"]
    assert learned_limits(found) is None
    over_windows = ladder_document(ladder(LadderPlan(rules=UNTIMED), MINUTES, {**KNEE, "rpm": 300, "quota": quota}))
    assert over_windows["recommendation"] is not None


def test_a_limit_above_all_that_was_tested_is_said_to_be_at_least_that() -> None:
    found = ladder_document(ladder(LadderPlan((1, 2, 4), UNTIMED), RungDuration(), KNEE))
    assert (found["limit"], found["at_least"], found["binding"]) == (None, 4, "none")


def test_a_concurrency_limit_is_named_by_its_refusals() -> None:
    found = ladder(LadderPlan(rules=UNTIMED), RungDuration(), {**KNEE, "concurrency": 12})
    assert found.binding.limit == "concurrency"
    assert found.found.limit is not None
    assert found.found.limit <= 13


def test_a_slow_first_token_stops_for_its_own_reason() -> None:
    found = ladder(LadderPlan(rules=replace(UNTIMED, max_ttft_s=0.5)), RungDuration(), {"latency": {"ttft_s": 0.6}})
    assert found.found.stop is not None
    assert (found.found.stop.rule, found.found.limit) == ("FAIL-TTFT", None)
    assert recommendation_of(found) is None


def test_a_ladder_that_goes_on_measures_only_what_is_missing() -> None:
    whole = ladder(LadderPlan(rules=UNTIMED), RungDuration(), KNEE)
    rest = ladder(LadderPlan(rules=UNTIMED), RungDuration(), KNEE, measured=whole.rungs[:4])
    assert rest.rungs[:4] == whole.rungs[:4]
    assert [one.concurrency for one in rest.rungs[:6]] == [one.concurrency for one in whole.rungs[:6]]
    assert rest.found.limit == pytest.approx(16, rel=0.15)


@pytest.mark.matrix
def test_two_keys_of_one_account_are_noticed_together() -> None:
    """One server behind two names: alone each reaches its knee, together they do as well."""
    alone = [ladder(LadderPlan(rules=UNTIMED), RungDuration(), KNEE) for _ in range(2)]
    joint = ladder(LadderPlan(rules=UNTIMED), RungDuration(), KNEE)
    assert share_a_quota(alone, joint) is not None
    apart = ladder(LadderPlan(rules=UNTIMED), RungDuration(), KNEE, KNEE)
    assert share_a_quota(alone, apart) is None


@pytest.mark.matrix
def test_instances_together_are_measured_against_as_many_in_flight_each() -> None:
    """Four in flight over two are two each: half of what each carries with four."""
    climbed = LadderPlan((1, 2, 4), UNTIMED, refines=False)
    alone = [ladder(climbed, RungDuration(), KNEE) for _ in range(2)]
    assert share_a_quota(alone, ladder(climbed, RungDuration(), KNEE, KNEE)) is None
    quota = {**KNEE, "rpm": 300}
    alone = [ladder(climbed, MINUTES, quota) for _ in range(2)]
    assert share_a_quota(alone, ladder(climbed.times(2), MINUTES, quota)) is not None
    assert share_a_quota(alone, ladder(climbed.times(2), MINUTES, quota, quota)) is None


def test_the_money_ends_a_ladder_softly() -> None:
    def price(_model: str, usage: Usage) -> float:
        return usage.output_tokens / 1e5

    async def run() -> Sequence[Rung]:
        load, simulator = target(KNEE)
        budget = Budget(price, BudgetLimits(cost_usd=0.2))
        load = replace(load, senders={name: BudgetedSender(one, budget, 100) for name, one in load.senders.items()})
        bench = Bench(load, RungDuration(), budget, is_priced=True)
        rungs = await climb(bench, LadderPlan(rules=UNTIMED), StatedLimits(), (), lambda _rungs: None)
        simulator.close()
        return rungs

    rungs = run_virtual(run())
    assert "cost limit is reached" in rungs[-1].gone
    ended = conclude("m", "m", StatedLimits(), LadderPlan(rules=UNTIMED), rungs)
    assert not ended.is_complete
    assert (ended.found.stop, ended.binding.limit, ended.binding.sureness) == (None, "none", "open")
    spent = sum(one.cost_usd or 0.0 for one in rungs)
    assert 0.199 <= spent <= 0.2


def rate_search(target_qps: float, endpoint: dict[str, Any]) -> RateSearch:
    async def run() -> RateSearch:
        load, simulator = target(endpoint)
        found = await find_concurrency(Bench(load, RungDuration()), target_qps, RUNGS, lambda _rung: None)
        simulator.close()
        return found

    return run_virtual(run())


@pytest.mark.parametrize("target_qps", [0.2, 5.0, 20.0])
def test_the_smallest_concurrency_that_carries_a_rate_is_littles(target_qps: float) -> None:
    found = rate_search(target_qps, {"latency": {"ttft_s": 0.5, "itl_s": 0.005}})
    assert found.smallest is not None
    assert found.smallest == pytest.approx(max(1, 0.95 * target_qps), abs=1)


@pytest.mark.matrix
def test_a_rate_beyond_the_server_is_carried_by_nothing() -> None:
    assert rate_search(100.0, {"latency": {"ttft_s": 0.5, "saturates_at": 4}}).smallest is None


@pytest.mark.parametrize(("slower", "verdict"), [(1.0, "no evidence"), (1.5, "worse"), (0.7, "better")])
def test_a_difference_is_named_only_where_there_is_one(slower: float, verdict: str) -> None:
    async def run() -> dict[str, str]:
        load, simulator = target(
            {"latency": {"ttft_s": 0.3, "noise": 0.2}}, {"latency": {"ttft_s": 0.3 * slower, "noise": 0.2}}
        )
        first, second = (replace(load, instances=[one]) for one in load.instances)
        blocks = await run_ab_test(AbTest(4, 8, 24), first, second, lambda _round: None)
        simulator.close()
        return {one.figure: one.verdict for one in differences(blocks)}

    found = run_virtual(run())
    assert found["ttft_s"] == verdict
    assert found["success_rate"] == "no evidence"
