"""Which samples a page holds, and that they come out as they went in."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from typing import Any

import orjson
import pyarrow as pa

from orchestrator.report.facts import samples
from orchestrator.report.facts.samples import SamplePack, pack_samples, read_samples
from orchestrator.results.run import Run

MakeRun = Callable[..., Run]

FAILED = {"score": 0.0, "grade": "failed", "passed": False, "score_error": "wrong_answer"}


def unpacked(pack: SamplePack) -> dict[str, list[Any]]:
    columns = orjson.loads(gzip.decompress(base64.b64decode(pack.payload)))
    return {
        name: one if isinstance(one, list) else [None if at is None else one["values"][at] for at in one["at"]]
        for name, one in columns.items()
    }


def test_every_text_comes_out_as_it_went_in(make_run: MakeRun) -> None:
    text = '</script><script>alert(1)</script>\x00\x1b[31m\u202e"\\ 价格 🙂'
    columns = unpacked(pack_samples(make_run([{"output_text": text}, {"output_text": None}])))
    assert columns["output_text"] == [text, None]
    assert columns["ordinal"] == [0, 1]


def test_what_did_not_pass_comes_first_and_the_page_says_what_it_holds(make_run: MakeRun) -> None:
    run = make_run([FAILED if n % 10 == 0 else {} for n in range(100)])
    pack = pack_samples(run, 30)
    held = unpacked(pack)["ordinal"]
    assert {n for n in range(100) if n % 10 == 0} <= set(held)
    assert len(held) == 30
    assert pack.in_words() == "30 of 100 samples: all 10 that did not pass and 20 of the others, drawn with seed 0."
    assert pack_samples(run, 30) == pack
    assert pack_samples(run, 4).in_words() == (
        "4 of 100 samples: 4 of 10 that did not pass and 0 of the others, drawn with seed 0."
    )
    assert pack_samples(run, 0).held == 0
    assert pack_samples(run).in_words() == "All 100 samples."


def test_a_text_without_end_is_cut_and_says_so(make_run: MakeRun) -> None:
    columns = unpacked(pack_samples(make_run([{"output_text": "é" * 200_000}, {}])))
    assert columns["output_text"][0] == "é" * samples.LONGEST_TEXT + " … (cut here; export has all of it)"
    assert columns["output_text"][1] == "2"


def test_long_conversations_are_held_as_far_as_they_fit(make_run: MakeRun) -> None:
    longest = "x" * samples.LONGEST_TEXT
    fit = samples.MOST_TEXT_BYTES // (8 * samples.LONGEST_TEXT)
    texts = dict.fromkeys(
        ("input", "target", "output_text", "messages", "tool_trace", "error_message", "raw_response"), longest
    )
    pack = pack_samples(make_run([texts] * (fit + 100)))
    assert fit <= pack.held < fit + 100


def test_long_texts_are_cut_before_the_samples_are_gathered(make_run: MakeRun) -> None:
    run = make_run([{"input": "x" * 1_000_000} for _ in range(5)])
    gathered = read_samples(run, pa.array(range(5), pa.int64()))
    assert gathered.nbytes < 5 * 2 * samples.LONGEST_TEXT
