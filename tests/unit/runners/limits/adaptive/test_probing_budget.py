"""What asking for more may cost: one refusal in 250 requests, however slow or fast the server is."""

from __future__ import annotations

import pytest

from runners.limits.adaptive.concurrency.answer_statistics import AnswerStatistics
from runners.limits.adaptive.concurrency.slot_probe import RARE_S, SlotProbe
from runners.limits.adaptive.episode import Episode
from runners.limits.adaptive.ledger import SendLedger
from runners.limits.adaptive.rate.episode_evidence import EpisodeEvidence
from runners.limits.adaptive.rate.rate_learner import RateLearner
from runners.limits.adaptive.rate.rate_model import MINUTE, RateModel

REQUESTS_PER_REFUSAL = 250
LONGEST_S = 600.0


@pytest.mark.parametrize("goodput", [0.2, 0.5, 1.0, 2.0, 4.0, 8.0])
def test_once_probes_for_slots_are_rare_one_request_in_250_is_refused_at_most(goodput: float) -> None:
    probe = SlotProbe()
    while probe.every_s <= RARE_S:
        probe.refused(goodput)
    assert probe.every_s == LONGEST_S or probe.every_s * goodput >= REQUESTS_PER_REFUSAL


@pytest.mark.parametrize(("goodput", "after_s"), [(0.25, 600.0), (0.5, 500.0), (1.0, 25.0), (2.0, 12.5), (100.0, 0.25)])
def test_the_first_refused_probe_may_come_back_ten_times_as_soon(goodput: float, after_s: float) -> None:
    probe = SlotProbe()
    probe.refused(goodput)
    assert probe.every_s == pytest.approx(after_s)


def learnt_twice(goodput: float) -> RateModel:
    """The model after a minute's window was met twice at the same count."""
    model, answers = RateModel(), AnswerStatistics()
    learner = RateLearner(model, lambda _event, _evidence: None)
    for at in (60.0, 120.0):
        answers.count = int(goodput * at)
        counts = [[amount, 100 * amount, 500 * amount, 0.0] for amount in (goodput, 10 * goodput, 60 * goodput)]
        accepted = [goodput * at, 100 * goodput * at, 500 * goodput * at, 0.0]
        episode = Episode(at, at, counts, accepted, 0.0, (1.0, 100.0, 500.0, 0.0), MINUTE, at)
        learner.learn(episode, EpisodeEvidence(SendLedger(), answers, True, at + 0.5, at + 0.5))
    return model


@pytest.mark.parametrize(("goodput", "scale_s"), [(0.2, 180.0), (0.3, 300.0), (0.5, 250.0), (0.75, 500 / 3)])
def test_a_limit_is_met_again_after_125_requests_or_five_windows_or_three_of_few_requests(
    goodput: float, scale_s: float
) -> None:
    assert learnt_twice(goodput).scale_s == pytest.approx(scale_s, rel=0.01)
