import pytest

from runners.limits.adaptive.ledger import ANSWERED, CEILING, REQUESTS, TOKENS
from runners.limits.adaptive.rate import unit_inference

BY_REQUESTS = [[300.0, 110_000.0, 229_000.0, 86_000.0], [300.0, 125_000.0, 231_000.0, 109_000.0]]
BY_TOKENS = [[514.0, 192_000.0, 392_000.0, 120_900.0], [350.0, 136_000.0, 264_000.0, 120_500.0]]


def test_the_unit_whose_samples_agree_binds() -> None:
    assert unit_inference.binding(BY_REQUESTS)[REQUESTS]
    assert not unit_inference.binding(BY_REQUESTS)[TOKENS]
    assert unit_inference.binding(BY_TOKENS) == [False, False, False, True]


def test_samples_of_different_limits_agree_in_no_unit() -> None:
    cost = (1.0, 400.0, 700.0, 0.0)
    assert unit_inference.agree(BY_REQUESTS, cost)
    assert not unit_inference.agree(
        [[300.0, 120_000.0, 230_000.0, 118_000.0], [150.0, 61_000.0, 112_000.0, 70_000.0]], cost
    )


def test_one_sample_leaves_tokens_two_standard_errors_and_answers_the_room_of_what_was_sent() -> None:
    limits = unit_inference.first_limits([100.0, 40_000.0, 70_000.0, 9_000.0], requests=100.0, spread=0.5)
    assert limits[REQUESTS] == 100.0
    assert limits[TOKENS] == pytest.approx(44_000.0)
    assert limits[CEILING] == pytest.approx(77_000.0)
    assert limits[ANSWERED] == limits[TOKENS]


def test_one_sample_of_uneven_requests_leaves_a_quarter_at_most_or_as_much_again_for_a_few() -> None:
    assert unit_inference.first_limits([16.0, 1000.0, 2000.0, 0.0], requests=16.0, spread=3.0)[TOKENS] == 1250.0
    assert unit_inference.first_limits([4.0, 1000.0, 2000.0, 0.0], requests=4.0, spread=3.0)[TOKENS] == 2000.0


def test_a_few_requests_that_differ_by_one_may_be_what_is_limited() -> None:
    samples = [[3.0, 900.0, 3000.0, 0.0], [4.0, 1000.0, 3000.0, 0.0]]
    assert unit_inference.binding(samples)[REQUESTS]


def test_other_units_do_not_bind_where_few_requests_make_their_amounts_vary() -> None:
    assert unit_inference.relaxed([1000.0, 1000.0], 4.0, 0.5) == pytest.approx(1750.0)
    assert unit_inference.relaxed([1000.0, 1000.0], 100.0, 0.5) == pytest.approx(1250.0)


def test_a_window_lies_between_the_highest_count_refused_and_the_lowest_plus_a_request() -> None:
    assert unit_inference.window_limit([98.0, 100.0, 103.0], TOKENS, 10.0, 0.0) == 103.0
    assert unit_inference.window_limit([98.0, 100.0, 140.0], TOKENS, 10.0, 0.0) == 108.0


def test_of_whole_requests_the_middle_count_is_taken() -> None:
    assert unit_inference.window_limit([300.0, 343.0, 300.0], REQUESTS, 0.0, 0.0) == 300.0


def test_a_window_whose_refusal_costs_a_minute_is_taken_at_its_careful_end() -> None:
    assert unit_inference.window_limit([100.0, 104.0], TOKENS, 2.0, 60.0) == pytest.approx(102.0 * 0.95)


def test_what_is_counted_afterwards_was_above_the_limit_when_it_refused() -> None:
    assert unit_inference.window_limit([120_900.0, 120_300.0], ANSWERED, 400.0, 0.0) == 120_100.0


def test_few_requests_leave_the_tokens_open_by_one_request() -> None:
    cost = (1.0, 100.0, 600.0, 0.0)
    assert unit_inference.first_limits([4.0, 400.0, 2400.0, 0.0], 4.0, 0.0, cost)[TOKENS] == 450.0
    assert unit_inference.first_limits([40.0, 4000.0, 24_000.0, 0.0], 40.0, 0.0, cost)[TOKENS] == 4000.0
