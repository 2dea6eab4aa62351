from __future__ import annotations

import orjson
import pytest

from providers.wire.message.growing import UnknownShape
from providers.wire.message.tool_calls import GrowingCalls


def piece(
    call_id: str | None = None, name: str | None = None, arguments: object = None, **more: object
) -> dict[str, object]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def joined(*pieces: dict[str, object]) -> list[tuple[object, ...]]:
    calls = GrowingCalls()
    for each in pieces:
        calls.add([each])
    return [_told(call) for call in calls.joined()]


def _told(call: dict[str, object]) -> tuple[object, ...]:
    function = call["function"]
    assert isinstance(function, dict)
    return call.get("id"), function.get("name"), function.get("arguments")


def test_empty_names_and_ids_overwrite_nothing() -> None:
    pieces = [piece("a", "f", "", index=0), piece("", "", "{", index=0), piece(None, None, "}", index=0)]
    assert joined(*pieces) == [("a", "f", "{}")]


def test_a_new_id_on_a_used_index_is_a_new_call() -> None:
    pieces = [piece("a", "f", "{}", index=0), piece("b", "f", "{", index=0), piece("", "", "}", index=0)]
    assert joined(*pieces) == [("a", "f", "{}"), ("b", "f", "{}")]


def test_a_known_id_on_a_used_index_continues_its_call() -> None:
    pieces = [piece("a", "f", "{", index=0), piece("b", "g", "{", index=0), piece("a", None, "}", index=0)]
    assert joined(*pieces) == [("a", "f", "{}"), ("b", "g", "{")]


def test_a_new_id_without_a_name_is_no_call() -> None:
    assert joined(piece("a", "f", "{", index=0), piece("b", None, "}", index=0)) == [("a", "f", "{}")]


def test_one_id_at_two_places_is_two_calls() -> None:
    assert joined(piece("a", "f", "{}", index=0), piece("a", "g", "{}", index=1)) == [
        ("a", "f", "{}"),
        ("a", "g", "{}"),
    ]


def test_the_first_index_need_not_be_zero_and_calls_are_told_in_order() -> None:
    assert joined(piece("b", "g", "{}", index=3), piece("a", "f", "{}", index=1)) == [
        ("a", "f", "{}"),
        ("b", "g", "{}"),
    ]


@pytest.mark.parametrize("ids", [("a", "b"), ("a", "a"), (None, None), ("a", None)])
def test_whole_calls_without_an_index_are_as_many_as_their_names(ids: tuple[str | None, str | None]) -> None:
    pieces = [piece(call_id, "f", "{}") for call_id in ids]
    assert joined(*pieces) == [(call_id, "f", "{}") for call_id in ids]


def test_pieces_without_an_index_continue_the_last_call() -> None:
    assert joined(piece("a", "f", "{"), piece("a", None, '"x"'), piece(None, "", ": 1}")) == [("a", "f", '{"x": 1}')]


def test_an_object_of_arguments_is_kept_beside_an_empty_text() -> None:
    assert joined(piece("a", "f", "", index=0), piece(None, None, {"x": 1}, index=0)) == [("a", "f", {"x": 1})]


def test_a_custom_call_grows_as_well() -> None:
    calls = GrowingCalls()
    for text in ("print", "(1)"):
        calls.add([{"index": 0, "id": "a", "type": "custom", "custom": {"name": "run", "input": text}}])
    assert calls.joined() == [{"id": "a", "type": "custom", "custom": {"name": "run", "input": "print(1)"}}]


def test_what_a_server_wants_back_with_a_call_is_kept() -> None:
    calls = GrowingCalls()
    calls.add([piece("a", "f", "{}", index=0, extra_content={"google": {"thought_signature": "c2ln"}})])
    assert calls.joined()[0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}


def test_arguments_in_many_pieces_are_joined_once() -> None:
    calls = GrowingCalls()
    calls.add([piece("a", "f", '{"x": "', index=0)])
    for _ in range(100_000):
        calls.add([{"index": 0, "function": {"arguments": "y"}}])
    calls.add([{"index": 0, "function": {"arguments": '"}'}}])
    assert orjson.loads(str(_told(calls.joined()[0])[2])) == {"x": "y" * 100_000}


@pytest.mark.parametrize("pieces", ["f()", {"id": "a"}, ["f()"], [None], 7])
def test_calls_of_another_shape_are_told(pieces: object) -> None:
    with pytest.raises(UnknownShape):
        GrowingCalls().add(pieces)
