from runners.limits.adaptive.ledger import ANSWERED, GRAIN_S, KEPT_S, REQUESTS, SLACK_S, TOKENS, SendLedger

ONE = (1.0, 100.0, 600.0, 0.0)


def test_each_window_counts_what_is_younger_than_itself() -> None:
    ledger = SendLedger()
    for at in (0.0, 55.0, 60.5):
        ledger.add(ONE, at)
    assert [ledger.counts(window, 61.0)[REQUESTS] for window in range(3)] == [1.0, 2.0, 2.0]
    assert ledger.counts(2, 61.0) == [2.0, 200.0, 1200.0, 0.0]


def test_an_entry_leaves_its_window_only_after_the_slack() -> None:
    ledger = SendLedger()
    ledger.add(ONE, 1.0)
    assert ledger.counts(1, 11.0 + SLACK_S / 2)[REQUESTS] == 1.0
    assert ledger.counts(1, 11.0 + SLACK_S + 1e-9)[REQUESTS] == 0.0


def test_a_correction_counts_only_in_the_windows_that_still_hold_the_entry() -> None:
    ledger = SendLedger()
    entry = ledger.add(ONE, 0.0)
    ledger.add(ONE, 30.0)
    ledger.correct(entry, (0.0, -40.0, 0.0, 0.0))
    assert ledger.counts(1, 30.0)[TOKENS] == 100.0
    assert ledger.counts(2, 30.0)[TOKENS] == 160.0
    assert ledger.total[TOKENS] == 160.0


def test_a_window_frees_an_amount_when_the_entries_that_hold_it_have_left() -> None:
    ledger = SendLedger()
    for at in (0.0, 1.0, 2.0):
        ledger.add(ONE, at)
    assert ledger.frees_at(1, REQUESTS, 2.0, 3.0) == 11.0 + SLACK_S
    assert ledger.frees_at(1, TOKENS, 101.0, 3.0) == 11.0 + SLACK_S
    assert ledger.frees_at(1, REQUESTS, 4.0, 3.0) is None


def test_a_stretch_is_counted_exactly_and_without_what_came_after() -> None:
    ledger = SendLedger()
    ledger.add(ONE, 0.0)
    ledger.add(ONE, 5.0)
    ledger.add((0.0, 0.0, 0.0, 70.0), 6.0)
    ledger.add(ONE, 9.0)
    assert ledger.between(0.0, 6.0) == [1.0, 100.0, 600.0, 70.0]
    assert ledger.between(5.0, 9.0)[ANSWERED] == 70.0


def test_sends_within_a_grain_share_an_entry_so_that_memory_does_not_follow_the_rate() -> None:
    ledger = SendLedger()
    for step in range(200_000):
        ledger.add(ONE, step / 2000)
    counted = ledger.counts(2, 199_999 / 2000)[REQUESTS]
    assert abs(counted - 2000 * (60 + SLACK_S)) <= 2000 * GRAIN_S
    assert sum(1 for _ in ledger._kept.entries) <= KEPT_S / GRAIN_S + 1
