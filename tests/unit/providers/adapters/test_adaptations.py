"""An instance that refuses a field is asked anew at once, and never again as before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from providers.adapters.routed import RoutedAdapter
from providers.credentials import ApiKey
from providers.errors import Evidence, Refused, ServerFault, Truncated
from providers.instance import Instance
from providers.messages import Adaptation, ChatRequest, ChatResponse, Generation, Timing, Usage
from providers.provider import RouteSpec
from providers.route import Adapt, Route
from providers.wire.operations.generation import sent_fields

ROUTE = Route(Instance("east/o3", "o3", "o3", "east", "east/o3"), "http://h/v1", ApiKey("K", "s"))
ANSWER = ChatResponse("42", (), "stop", Usage(1, 1), Timing(0, None, 0), None, "r", "m", None)
ASKED = ChatRequest([], generation=Generation(max_tokens=9, temperature=0.0))


OTHER = replace(ROUTE, instance=replace(ROUTE.instance, name="west/o3"))


class Wire:
    """A transport that only asks its server."""

    def __init__(self, send: Callable[[ChatRequest], Awaitable[ChatResponse]]) -> None:
        self.ask = send

    async def send(self, route: Route, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        return await self.ask(request)

    async def aclose(self) -> None:
        """Nothing is open."""


class Asked:
    """An adapter over a wire, asked the same request again and again."""

    def __init__(
        self, send: Callable[[ChatRequest], Awaitable[ChatResponse]], told: Told, adapt: Adapt = "rename"
    ) -> None:
        self.wire = Wire(send)
        self._adapter = RoutedAdapter(lambda _model, _spec: [ROUTE, OTHER], self.wire, on_adapted=told)
        self._adapter.instances("o3", RouteSpec(adapt=adapt))

    async def send(self, route: Route = ROUTE) -> ChatResponse:
        return await self._adapter.complete(route.instance, ASKED, request_id="r", deadline=1e9)


class Server:
    """Refuses the fields that it is told to, as OpenAI does, and keeps what it was sent."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.sent: list[frozenset[str]] = []

    async def send(self, request: ChatRequest) -> ChatResponse:
        fields = sent_fields(request)
        self.sent.append(fields)
        await asyncio.sleep(0)
        for name in self.refused:
            if name in fields:
                body = f'{{"error": {{"message": "\'{name}\' is not supported", "param": "{name}"}}}}'
                raise Refused("refused", Evidence("east/o3", "r", 400, body))
        return ANSWER


class Told:
    def __init__(self) -> None:
        self.news: list[tuple[str, Adaptation]] = []

    def __call__(self, instance: str, adaptation: Adaptation) -> None:
        self.news.append((instance, adaptation))


async def test_a_request_that_is_taken_goes_out_once_and_unchanged() -> None:
    server, told = Server(), Told()
    assert await Asked(server.send, told).send() is ANSWER
    assert server.sent == [{"max_tokens", "temperature"}]
    assert told.news == []


async def test_what_was_learnt_holds_for_every_later_request() -> None:
    server, told = Server("max_tokens"), Told()
    asked = Asked(server.send, told)
    answers = [await asked.send() for _ in range(3)]
    assert server.sent == [{"max_tokens", "temperature"}, *[{"max_completion_tokens", "temperature"}] * 3]
    assert [answer.adaptation for answer in answers] == [told.news[0][1]] * 3
    assert [(name, news.renamed) for name, news in told.news] == [("east/o3", {"max_tokens": "max_completion_tokens"})]


async def test_requests_that_are_refused_together_are_each_sent_again_and_told_of_once() -> None:
    server, told = Server("max_tokens", "temperature"), Told()
    asked = Asked(server.send, told, "drop")
    await asyncio.gather(*(asked.send() for _ in range(8)))
    assert server.sent.count(frozenset({"max_completion_tokens"})) == 8
    assert [(dict(news.renamed), list(news.dropped)) for _, news in told.news] == [
        ({"max_tokens": "max_completion_tokens"}, []),
        ({}, ["temperature"]),
    ]


async def test_instances_are_learnt_about_one_by_one() -> None:
    server = Server("max_tokens")
    asked = Asked(server.send, Told())
    for route in (ROUTE, OTHER):
        await asked.send(route)
    assert [("max_tokens" in fields) for fields in server.sent] == [True, False, True, False]


@pytest.mark.parametrize(("adapt", "sends"), [("never", 1), ("rename", 1), ("drop", 2)])
async def test_a_temperature_is_left_out_only_where_the_user_says_so(adapt: Adapt, sends: int) -> None:
    server = Server("temperature")
    sending = Asked(server.send, Told(), adapt).send()
    if adapt == "drop":
        assert (await sending).text == "42"
    else:
        with pytest.raises(Refused):
            await sending
    assert len(server.sent) == sends


async def test_a_server_that_takes_neither_name_is_not_asked_for_ever() -> None:
    server, told = Server("max_tokens", "max_completion_tokens"), Told()
    with pytest.raises(Refused) as caught:
        await Asked(server.send, told).send()
    assert len(server.sent) == 2
    assert caught.value.evidence.adaptation == told.news[0][1]


async def test_an_error_after_an_adaptation_keeps_it() -> None:
    asked = Asked(Server("max_tokens").send, Told())
    await asked.send()

    async def run_out(_request: ChatRequest) -> ChatResponse:
        raise Truncated("no text", Evidence("east/o3", "r", 200))

    asked.wire.ask = run_out
    with pytest.raises(Truncated) as caught:
        await asked.send()
    adaptation = caught.value.evidence.adaptation
    assert adaptation is not None
    assert adaptation.renamed == {"max_tokens": "max_completion_tokens"}


async def test_a_fault_of_the_server_teaches_nothing() -> None:
    told = Told()

    async def fail(_request: ChatRequest) -> ChatResponse:
        raise ServerFault("oops", Evidence("east/o3", "r", 500, "'max_tokens' is not supported"))

    with pytest.raises(ServerFault):
        await Asked(fail, told).send()
    assert told.news == []
