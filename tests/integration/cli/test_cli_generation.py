"""Models that take other fields than the file asks for: a server that refuses as OpenAI and Azure do, and what comes of a sweep over it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Program

REASONING = {"gpt-5-mini", "o3"}
QUESTIONS = 12


class Refusing(BaseHTTPRequestHandler):
    """Answers 42; a reasoning model takes neither max_tokens nor a temperature."""

    protocol_version = "HTTP/1.1"
    server: RefusingServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(body)
        refusal = _refusal(body) if body["model"] in REASONING else None
        status, answer = (400, {"error": refusal}) if refusal else (200, _answer(body["model"]))
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


class RefusingServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Refusing)
        self.seen: list[dict[str, Any]] = []

    def of(self, model: str) -> list[dict[str, Any]]:
        return [body for body in self.seen if body["model"] == model]


def _refusal(body: dict[str, Any]) -> dict[str, Any] | None:
    if "max_tokens" in body:
        said = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        return {
            "message": said,
            "type": "invalid_request_error",
            "param": "max_tokens",
            "code": "unsupported_parameter",
        }
    if body.get("temperature") not in {None, 1}:
        said = "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value is supported."
        return {"message": said, "type": "invalid_request_error", "param": "temperature", "code": "unsupported_value"}
    return None


def _answer(model: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    return {"id": "r", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}


@contextmanager
def _serving() -> Iterator[RefusingServer]:
    with RefusingServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[RefusingServer]:
    with _serving() as found:
        yield found


def sections(program: Program, server: RefusingServer, **more: Any) -> dict[str, Any]:
    """One that takes everything, and two that reason and are told no temperature."""
    rows = ({"id": f"t{n}", "input": f"question {n}", "target": "42"} for n in range(QUESTIONS))
    (program.folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "providers": {"box": {"type": "openai", "base_url": f"http://127.0.0.1:{server.server_address[1]}/v1"}},
        "models": {
            "gpt-4o-mini": {"provider": "box"},
            **{name: {"provider": "box", "generation": {"temperature": None}} for name in sorted(REASONING)},
        },
        "tasks": [{"path": "tasks.jsonl", "scorer": "exact"}],
        "generation": {"temperature": 0, "max_tokens": 512},
        **more,
    }


@pytest.mark.parametrize("transport", ["native", pytest.param("sdk", marks=pytest.mark.matrix)])
def test_one_file_asks_each_model_as_it_must_be_asked(
    program: Program, server: RefusingServer, books: Books, transport: str
) -> None:
    found = sections(program, server)
    found["providers"]["box"]["transport"] = transport
    program.write(found)
    done = program.run("sweep.yaml")
    assert done.code == 0, done.err
    rows = books.rows(program.path(done))
    assert [(row["outcome"], row["score"], row["attempts"]) for row in rows] == [("ok", 1.0, 1)] * 3 * QUESTIONS
    for model in REASONING:
        lines = [line for line in done.err.splitlines() if f"box/{model}: " in line]
        assert len(lines) == 1
        assert "max_tokens is sent as max_completion_tokens, because the server says: Unsupported parameter" in lines[0]
        taken = [body for body in server.of(model) if "max_tokens" not in body]
        assert len(taken) == QUESTIONS
        assert {body["max_completion_tokens"] for body in taken} == {512}
        assert not any("temperature" in body for body in server.of(model))
    assert {(body["max_tokens"], body["temperature"]) for body in server.of("gpt-4o-mini")} == {(512, 0.0)}
    assert all((row["adaptation"] is None) == (row["model"] == "gpt-4o-mini") for row in rows)
    adapted = {row["model"]: json.loads(row["adaptation"]) for row in rows if row["adaptation"]}
    for adaptation in adapted.values():
        assert (adaptation["renamed"], adaptation["dropped"]) == ({"max_tokens": "max_completion_tokens"}, [])
        assert "'max_tokens' is not supported" in adaptation["words"]
    decisions = [json.loads(line) for line in (program.path(done) / "decisions.jsonl").read_text().splitlines()]
    assert sorted(d["instance"] for d in decisions if d["event"] == "adapted") == ["box/gpt-5-mini", "box/o3"]


def test_a_temperature_is_left_out_where_the_user_allows_it(
    program: Program, server: RefusingServer, books: Books
) -> None:
    found = sections(program, server)
    found["models"] = {"o3": {"provider": "box", "adapt": "drop"}}
    program.write(found)
    done = program.run("sweep.yaml")
    rows = books.rows(program.path(done))
    assert {(row["outcome"], row["score"]) for row in rows} == {("ok", 1.0)}
    assert {tuple(json.loads(row["adaptation"])["dropped"]) for row in rows} == {("temperature",)}
    assert sum("box/o3: " in line for line in done.err.splitlines()) == 2


def test_nothing_is_renamed_where_the_user_forbids_it(program: Program, server: RefusingServer, books: Books) -> None:
    program.write(sections(program, server, run={"adapt": "never", "max_retries": 0}))
    done = program.run("sweep.yaml", "--model", "o3")
    assert server.of("o3")
    assert all("max_completion_tokens" not in body for body in server.seen)
    rows = books.rows(program.path(done))
    assert {row["outcome"] for row in rows}.isdisjoint({"ok"})
    assert all(row["adaptation"] is None for row in rows)
    assert "is sent as" not in done.err


def test_the_doctor_asks_what_the_sweep_will_ask(program: Program, server: RefusingServer) -> None:
    found = sections(program, server)
    found["models"]["o3"]["generation"] = {}
    found["generation"] |= {"seed": 5, "tool_choice": "auto"}
    tool = {"type": "function", "function": {"name": "look.up", "parameters": {"type": "object", "properties": {}}}}
    task = {"id": "t", "input": "?", "target": "42", "tools": [tool]}
    program.write(found)
    (program.folder / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    done = program("doctor", "sweep.yaml", "--json")
    findings = {finding["instance"]: finding for finding in json.loads(done.out)}
    assert done.code == 1
    assert {name: finding["is_usable"] for name, finding in findings.items()} == {
        "box/gpt-4o-mini": True,
        "box/gpt-5-mini": True,
        "box/o3": False,
    }
    assert "'temperature' does not support 0.0" in findings["box/o3"]["words"]
    assert "max_tokens is sent as max_completion_tokens" in findings["box/gpt-5-mini"]["words"]
    (asked,) = server.of("gpt-4o-mini")
    assert (asked["max_tokens"], asked["temperature"], asked["seed"], asked["tool_choice"]) == (512, 0.0, 5, "auto")
    assert asked["tools"][0]["function"]["name"] == "look_up"


def test_the_doctor_exits_with_4_where_every_instance_refuses(program: Program, server: RefusingServer) -> None:
    program.write(sections(program, server, run={"adapt": "never"}))
    assert program("doctor", "sweep.yaml", "--model", "o3,gpt-5-mini").code == 4


BENCH = ("--max-concurrency", 2, "--num-prompts", 4, "--no-calibration", "--no-stream", "--no-server-metrics", "--yes")


def test_bench_asks_a_model_as_its_file_says_and_adapts(program: Program, server: RefusingServer) -> None:
    program.write(sections(program, server))
    done = program("bench", "run", "sweep.yaml", "--model", "o3", *BENCH)
    assert done.code == 0, done.out + done.err
    assert not any("temperature" in body for body in server.seen)
    assert sum("max_completion_tokens" in body for body in server.seen) == 4


def test_bench_says_why_requests_fail(program: Program, server: RefusingServer) -> None:
    found = sections(program, server)
    found["models"]["o3"]["generation"] = {}
    program.write(found)
    done = program("bench", "run", "sweep.yaml", "--model", "o3", *BENCH)
    assert done.code == 1
    assert "first error: box/o3: " in done.out
    assert "'temperature' does not support 0.0 with this model" in done.out
