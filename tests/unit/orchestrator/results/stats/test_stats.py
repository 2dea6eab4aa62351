"""Intervals, paired tests and power against published values and against simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from orchestrator.results.stats.intervals import ClusterMoments, Estimate, Interval, estimate_from, wilson
from orchestrator.results.stats.paired import Pairs, compare_pairs, holm, mcnemar_midp
from orchestrator.results.stats.power import detectable_mean_effect, minimum_detectable_effect


def test_wilsons_interval_has_the_published_values() -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I
    for successes, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        found = wilson(successes, n)
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def estimate_mean(sums: Sequence[float], sizes: Sequence[int], *, is_binary: bool) -> Estimate:
    """The mean of scores in [0, 1], from each cluster's sum and size."""
    return estimate_from(
        ClusterMoments(
            groups=len(sums),
            n=sum(sizes),
            total=math.fsum(sums),
            squares=math.fsum(one * one for one in sums),
            products=math.fsum(one * size for one, size in zip(sums, sizes, strict=True)),
            sizes=sum(size * size for size in sizes),
        ),
        is_binary=is_binary,
    )


def test_an_interval_of_nothing_is_everything() -> None:
    assert wilson(0, 0) == Interval(0.0, 1.0)


def test_without_clusters_a_rate_has_wilsons_own_interval() -> None:
    scores = [1.0] * 81 + [0.0] * 182
    assert estimate_mean(scores, [1] * 263, is_binary=True).interval == wilson(81, 263)


def test_repeating_every_task_three_times_with_the_same_result_narrows_nothing() -> None:
    once = estimate_mean([1.0] * 40 + [0.0] * 60, [1] * 100, is_binary=True).interval
    thrice = estimate_mean([3.0] * 40 + [0.0] * 60, [3] * 100, is_binary=True).interval
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=0.03)


def test_all_right_in_few_clusters_is_no_certainty() -> None:
    found = estimate_mean([30.0] * 5, [30] * 5, is_binary=True)
    assert found.interval.low < 0.5
    assert found.interval.high == pytest.approx(1.0)


def test_one_cluster_says_nothing() -> None:
    assert estimate_mean([7.0], [10], is_binary=True).interval == Interval(0.0, 1.0)


def test_clustered_intervals_cover_the_truth_as_often_as_they_say() -> None:
    random, covered, trials = np.random.default_rng(1), 0, 600
    for _ in range(trials):
        easiness = random.normal(size=120)
        right = random.binomial(3, 1 / (1 + np.exp(-easiness)))  # truth 0.5 by symmetry
        covered += estimate_mean([float(x) for x in right], [3] * 120, is_binary=True).interval.holds(0.5)
    assert 0.92 <= covered / trials <= 0.98


def test_graded_scores_get_students_interval() -> None:
    found = estimate_mean([0.5, 1.0, 0.0, 0.75, 0.25], [1] * 5, is_binary=False)
    assert found.value == 0.5
    assert found.interval.high == pytest.approx(0.5 + 2.7764 * 0.39528 / math.sqrt(5), rel=1e-3)


def test_mcnemars_mid_p_has_the_published_value() -> None:
    # M. W. Fagerland et al. (2013), the airway hyper-responsiveness example: 7 against 1
    assert mcnemar_midp(1, 7) == pytest.approx(0.0391, abs=1e-4)
    assert mcnemar_midp(0, 0) == 1.0
    assert mcnemar_midp(5, 5) <= 1.0


def test_holm_steps_down_and_never_reorders() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_pairs_without_clusters_are_tested_by_mcnemar_and_with_epochs_by_clusters() -> None:
    first, second = [1.0, 0.0, 0.0, 1.0] * 20, [1.0, 1.0, 0.0, 1.0] * 20
    single = compare_pairs(Pairs(first, second, [str(i) for i in range(80)]))
    epochs = compare_pairs(Pairs(first, second, [str(i // 4) for i in range(80)]))
    assert (single.method, single.wins, single.losses) == ("McNemar mid-p", 20, 0)
    assert single.difference == epochs.difference == 0.25
    assert single.interval.low > 0
    assert epochs.method == "clustered t"
    assert epochs.clusters == 20


def test_equal_scores_are_no_difference() -> None:
    same = compare_pairs(Pairs([0.5, 1.0], [0.5, 1.0], ["a", "b"]))
    assert (same.p_value, same.interval) == (1.0, Interval(0.0, 0.0))


def test_the_paired_test_is_wrong_as_often_as_it_says_and_finds_what_it_says_it_finds() -> None:
    random, trials, pairs = np.random.default_rng(3), 2_000, 300
    draws = random.random((trials, 2, pairs))
    false = sum(_rejects(first < 0.6, second < 0.6) for first, second in draws)
    assert 0.04 <= false / trials <= 0.06
    discordance = 0.6 * 0.3 + 0.4 * 0.7  # rates 0.6 and 0.7, independent
    effect = minimum_detectable_effect(pairs, discordance)
    better = 0.6 + effect
    found = sum(_rejects(first < 0.6, second < better) for first, second in draws)
    assert found / trials == pytest.approx(0.8, abs=0.05)


def _rejects(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> bool:
    return mcnemar_midp(int((second & ~first).sum()), int((first & ~second).sum())) < 0.05


def test_what_can_never_be_seen_is_not_a_number() -> None:
    assert math.isnan(minimum_detectable_effect(0, 0.2))
    assert math.isnan(minimum_detectable_effect(100, 0.0))
    assert math.isnan(minimum_detectable_effect(5, 0.1))
    assert detectable_mean_effect(0.01) == pytest.approx(0.02802, abs=1e-4)
