"""What real endpoints sent is read as it was meant, however the bytes are cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from providers.errors import ProviderError
from providers.messages import ChatResponse, Timing
from providers.wire.operations.chat import read_completion
from providers.wire.received import Received
from providers.wire.streams.body import parse_json
from providers.wire.streams.stream import StreamAssembler
from tests.recorded_exchanges import (
    Recording,
    cut_awkwardly,
    cut_into_bytes,
    has_answer,
    is_error_in_success,
    needs_recordings,
    recordings,
    require_truth,
)

pytestmark = needs_recordings

READABLE = recordings(lambda each: has_answer(each) or is_error_in_success(each))
STREAMS = [each for each in READABLE if each.is_stream]
CUTS: dict[str, Callable[[bytes], list[bytes]]] = {
    "whole": lambda body: [body],
    "awkwardly": cut_awkwardly,
    "into bytes": cut_into_bytes,
}
ENDINGS: dict[str, Callable[[bytes], bytes]] = {
    "line feeds": lambda body: body,
    "both": lambda body: body.replace(b"\n", b"\r\n"),
    "carriage returns": lambda body: body.replace(b"\n", b"\r"),
    "a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
}


def named(readings: list[Recording]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("recording", readings, ids=lambda each: each.name)


def received(recording: Recording, body: bytes = b"") -> Received:
    return Received("east/m", "s/0/1", recording.request, recording.status, recording.headers, body)


def read_whole(recording: Recording, body: bytes) -> ChatResponse | ProviderError:
    answered = received(recording, body)
    try:
        return read_completion(parse_json(answered), answered, Timing(0.0, None, 0.0))
    except ProviderError as error:
        return error


def read_stream(recording: Recording, pieces: list[bytes]) -> ChatResponse | ProviderError:
    assembler = StreamAssembler(received(recording), sent_at=0.0)
    try:
        for piece in pieces:
            assembler.feed(piece, 1.0)
        return assembler.finish(0.0)
    except ProviderError as error:
        return error


@named([each for each in READABLE if not each.is_stream])
def test_an_answer_in_one_piece_reads_as_it_was_meant(recording: Recording) -> None:
    require_truth(recording, read_whole(recording, recording.body))


@named(STREAMS)
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("cut", CUTS)
def test_a_stream_reads_as_it_was_meant_however_it_is_cut(recording: Recording, cut: str, ending: str) -> None:
    body = ENDINGS[ending](recording.body)
    require_truth(recording, read_stream(recording, CUTS[cut](body)))


@named(STREAMS)
def test_a_stream_that_is_labelled_as_json_reads_as_it_was_meant(recording: Recording) -> None:
    labelled = replace(recording, headers={"content-type": "application/json"})
    require_truth(recording, read_whole(labelled, recording.body.rstrip()))


@named(list(recordings(lambda each: each.status >= 400)))
def test_only_a_refusal_by_a_limit_names_its_kind(recording: Recording) -> None:
    hint = received(recording, recording.body).evidence().hint
    kind = hint.stated_kind if hint else None
    assert kind == {"rep_azure_429_no_header": "tokens", "rep_gemini_429_compat": "requests"}.get(recording.name)
