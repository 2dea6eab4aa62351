"""The order of service: who is first, and that leaving costs little."""

from __future__ import annotations

import random

from runners.dispatch.permit_request import KEPT, PermitRequest, ServiceOrder
from tests.unit.runners.doubles import COST


def requests_of(count: int) -> list[PermitRequest]:
    """Every third was sent before and goes ahead."""
    requests = [PermitRequest(COST, "a", frozenset(), 1e9) for _ in range(count)]
    for number, request in enumerate(requests):
        request.order = (number % 3 != 0, number)
    return requests


def test_the_first_is_the_smallest_whatever_joined_and_left() -> None:
    requests, draw, order = requests_of(200), random.Random(3), ServiceOrder()
    waiting: list[PermitRequest] = []
    for request in draw.sample(requests, 200):
        order.add(request)
        waiting.append(request)
        if draw.random() < 0.4:
            gone = waiting.pop(draw.randrange(len(waiting)))
            order.discard(gone)
        assert order.first() is min(waiting, key=lambda request: request.order, default=None)
        assert len(order) == len(waiting)
        assert len(order._heap) <= 2 * len(waiting) + KEPT + 1, "those that left are not kept"


def test_those_that_do_not_fit_are_passed_over_and_stay() -> None:
    requests, order = requests_of(9), ServiceOrder()
    for request in requests:
        order.add(request)
    assert order.first(lambda request: request is requests[5]) is requests[5]
    assert order.first(lambda request: False) is None
    assert order.first() is requests[0]
    assert set(order) == set(requests)


def test_who_is_not_in_it_may_leave_and_who_joins_again_is_in_it_once() -> None:
    first, second = requests_of(2)
    order = ServiceOrder()
    order.discard(first)
    order.add(second)
    order.discard(second)
    order.add(second)
    assert (len(order), order.first(), second in order, first in order) == (1, second, True, False)
