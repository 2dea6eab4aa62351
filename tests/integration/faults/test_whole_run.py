"""The faults as a person meets them: one sweep of many models through the command line, its records, and the words of doctor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from .answers import SSE_HEAD, answer, choice, chunk, completion, error, http
from .server import End, FaultServer, Script, serving
from .table import CUT, FIFTY_MB, GOOD, PAGE, SECRET

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Done, Program

RUN = ("run", "sweep.yaml", "--no-stagger", "--display", "none")

Fate = tuple[str, str | None, int | None, int]
"""Outcome, class, HTTP status, attempts."""

MODELS: dict[str, tuple[list[Script], Fate]] = {
    "well": ([(GOOD,)], ("ok", None, 200, 1)),
    "well-after-500": ([(http(b"", "500 Oops"),), (GOOD,)], ("ok", None, 200, 2)),
    "well-after-429": ([(http(error("slow"), "429 Too Many Requests", retry_after_ms="20"),), (GOOD,)], ("ok", None, 200, 1)),
    "well-after-empty": ([(answer(choice(content="")),), (GOOD,)], ("ok", None, 200, 2)),
    "well-without-usage": ([(answer(completion(usage={"prompt_tokens": 2**64 - 1, "completion_tokens": 1})),)], ("ok", None, 200, 1)),
    "resets": ([(End.RESET,)], ("infra_failure", "connection", None, 2)),
    "cuts": ([(CUT, End.CLOSE)], ("infra_failure", "malformed", 200, 2)),
    "hangs": ([(End.HANG,)], ("infra_failure", "timeout_attempt", None, 2)),
    "stops": ([(CUT, End.HANG)], ("infra_failure", "timeout_attempt", 200, 2)),
    "page": ([(http(PAGE, content_type="text/html"),)], ("infra_failure", "malformed", 200, 2)),
    "giant": ([(http(FIFTY_MB),)], ("infra_failure", "malformed", 200, 2)),
    "redirects": ([(http(b"", "307 Temporary Redirect", Location="https://elsewhere.invalid/"),)], ("infra_failure", "malformed", 307, 2)),
    "overloaded": ([(http(error("overloaded"), "529 Overloaded"),)], ("infra_failure", "server_error", 529, 2)),
    "half-a-stream": ([(SSE_HEAD, chunk(content="4"), End.CLOSE)], ("infra_failure", "malformed", 200, 2)),
    "empty": ([(answer(choice(content="")),)], ("model_failure", "empty", 200, 2)),
    "filtered": ([(http(error("no", "content_filter"), "400 Bad Request"),)], ("model_failure", "content_filter", 400, 1)),
    "too-long": ([(http(error("no", "context_length_exceeded"), "400 Bad Request"),)], ("model_failure", "context_length", 400, 1)),
    "no-text": ([(answer(choice("length", content="")),)], ("model_failure", "length", 200, 1)),
}  # fmt: skip
GONE: dict[str, tuple[list[Script], str]] = {
    "revoked": ([(http(error(f"bad key {SECRET}"), "401 Unauthorized"),)], "the key is not accepted (HTTP 401): bad key ***"),
    "unpaid": ([(http(error("pay", "insufficient_quota"), "429 Too Many Requests"),)], "the quota is used up (HTTP 429): pay"),
    "missing": ([(http(error("no", "DeploymentNotFound"), "404 Not Found"),)], "there is no such deployment or model here"),
}  # fmt: skip


HALF = orjson.dumps(choice(content="42 HALF"))
HALF_CHARACTERS: dict[str, Script] = {
    "bom": (http(b"\xef\xbb\xbf" + HALF.replace(b"HALF", "\ufffd".encode())),),
    "surrogate": (http(HALF.replace(b"HALF", b"\\ud83d")),),
    "bytes": (http(HALF.replace(b"HALF", b"\xf0\x9f")),),
    "reasoning": (
        http(orjson.dumps(choice(content="42 HALF", reasoning_content="HALF")).replace(b"HALF", b"\\udc00")),
    ),
    "streamed": (
        SSE_HEAD + b"\xef\xbb\xbf",
        chunk(content="42 HALF").replace(b"HALF", b"\\ud83d"),
        chunk("stop"),
        End.CLOSE,
    ),
    "streamed-bytes": (SSE_HEAD, chunk(content="42 HALF").replace(b"HALF", b"\xff"), chunk("stop"), End.CLOSE),
}


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with serving({name: scripts for name, (scripts, _) in {**MODELS, **GONE}.items()}) as found:
        yield found


def sections(program: Program, server: FaultServer, *models: str, **provider: Any) -> dict[str, Any]:
    program.variables = {"PLANTED": SECRET}
    (program.folder / "tasks.csv").write_text("input,target\n6 × 7?,42\n")
    base_url = f"http://127.0.0.1:{server.port}/v1"
    east = {"type": "openai", "base_url": base_url, "api_key_env": "PLANTED", **provider}
    silent = {"timeouts": {"attempt_s": 2.0}}
    return {
        "providers": {"east": east},
        "models": {name: {"provider": "east", **(silent if name in {"hangs", "stops"} else {})} for name in models},
        "tasks": [{"path": "tasks.csv", "scorer": "numeric"}],
        "run": {"max_retries": 1},
    }


@pytest.mark.parametrize("transport", ["native", pytest.param("sdk", marks=pytest.mark.matrix)])
async def test_a_sweep_over_every_kind_of_fault_books_each_for_what_it_is(
    program: Program, server: FaultServer, books: Books, transport: str
) -> None:
    program.write(sections(program, server, *MODELS, transport=transport))
    done = await asyncio.to_thread(program.run, "sweep.yaml")
    assert done.code == 1, done.err
    rows = {row["model"]: row for row in books.rows(program.path(done))}
    fates = {name: (row["outcome"], row["error_class"], row["status"], row["attempts"]) for name, row in rows.items()}
    assert fates == {name: fate for name, (_, fate) in MODELS.items()}
    assert rows["well-after-429"]["throttles"] == 1
    assert rows["well-without-usage"]["usage_estimated"]
    for name, row in rows.items():
        require_no_answer_of_its_own(name, row)
    assert SECRET not in done.out + done.err


def require_no_answer_of_its_own(name: str, row: dict[str, Any]) -> None:
    """What is not an answer has no text; what is no fault of the model's has no score; what came is kept."""
    is_ok = row["outcome"] == "ok"
    assert (row["output_text"] == "42") is is_ok
    assert row["passed"] is (True if is_ok else False if row["outcome"] == "model_failure" else None)
    assert bool(row["error_message"]) is not is_ok
    assert bool(row["raw_response"]) is (not is_ok and name not in {"resets", "hangs", "redirects"})


async def test_models_without_a_usable_instance_stay_pending_and_say_why(
    program: Program, server: FaultServer, books: Books
) -> None:
    program.write(sections(program, server, *GONE, verify_tls=False))
    done, planned = [await asyncio.to_thread(program, *words) for words in (RUN, ("plan", "sweep.yaml", "--json"))]
    for one in (done, planned):
        assert "warning: providers.east: verify_tls is off" in one.err
    assert done.code == 4
    assert books.rows(program.path(done)) == []
    for _, words in GONE.values():
        assert words in done.out
    assert SECRET not in done.out + done.err


ADDRESSES = {
    "dead": ("http://127.0.0.1:9/v1", "127.0.0.1:9 refuses connections: does the server run there?"),
    "unknown": ("https://no-such-host.invalid/v1", "the name no-such-host.invalid is not known (DNS)"),
    "plain": ("https://127.0.0.1:{port}/v1", "does it speak https?"),
}


async def test_doctor_has_plain_words_for_what_is_common(program: Program, server: FaultServer) -> None:
    found = sections(program, server, "page", "redirects", "revoked", "missing", "well", verify_tls=False)
    async with serving({}, greeting=http(b"", "400 Bad Request")) as plain:
        for name, (address, _) in ADDRESSES.items():
            url = address.format(port=plain.port)
            found["providers"][name] = {"type": "openai", "base_url": url, "api_key_env": "PLANTED"}
            found["models"][name] = {"provider": name}
        program.write(found)
        done = await asyncio.to_thread(program, "doctor", "sweep.yaml")
    assert done.code == 1
    require_words(done, *(words for _, words in ADDRESSES.values()))
    require_words(
        done, "a web page came instead of an answer: is this the API's address", "redirected", "to elsewhere.invalid"
    )
    require_words(done, "the key is not accepted (HTTP 401): bad key ***", "there is no such deployment or model here")
    assert "warning: providers.east: verify_tls is off" in done.err


def require_words(done: Done, *words: str) -> None:
    said = " ".join(done.out.split())
    assert [one for one in words if one not in said] == [], done.out


@pytest.mark.parametrize("form", ["parquet", "json"])
async def test_half_a_character_in_a_good_answer_spoils_neither_the_answer_nor_what_is_made_of_it(
    program: Program, books: Books, form: str
) -> None:
    async with serving({name: [script] for name, script in HALF_CHARACTERS.items()}) as server:
        program.write(sections(program, server, *HALF_CHARACTERS))
        done = await asyncio.to_thread(program.run, "sweep.yaml", "--set", f"run.storage_format={form}")
    path = program.path(done)
    assert done.code == 0, done.out
    assert {row["model"]: row["output_text"] for row in books.rows(path)} == dict.fromkeys(HALF_CHARACTERS, "42 \ufffd")
    assert all(row["passed"] and row["attempts"] == 1 for row in books.rows(path))
    for words in (("verify", path, "--complete"), ("report", path), ("rescore", path)):
        made = await asyncio.to_thread(program, *words)
        assert made.code == 0, made.err
    for kind in ("csv", "jsonl", "parquet"):
        made = await asyncio.to_thread(program, "export", path, "-o", f"rows.{kind}")
        assert made.code == 0, made.err
    assert (program.folder / "rows.csv").read_bytes().decode().count("42 \ufffd") >= len(HALF_CHARACTERS)
