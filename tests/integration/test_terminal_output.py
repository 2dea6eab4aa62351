"""No text of a task, a configuration or a server steers the terminal, in any command and on any display."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Done, Program

Sweep = Callable[..., dict[str, Any]]

EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b[31m[red]x[/red]\x9b2J\u202e"
"""Writes the clipboard, colours the screen, clears it, turns the direction of writing round."""


@pytest.fixture
async def liar() -> AsyncIterator[str]:
    """Says EVIL in every field that it fills: answers, errors of every kind, names."""
    number = count()

    async def answer(request: web.Request) -> web.Response:
        kind = next(number) % 4
        error = {"error": {"message": f"no {EVIL} please", "code": EVIL, "type": EVIL}}
        if kind < 2:
            return web.json_response(error, status=(500, 400)[kind])
        if kind == 2:
            return web.Response(text=EVIL, status=503)
        message = {"role": "assistant", "content": EVIL}
        choice = {"index": 0, "message": message, "finish_reason": EVIL}
        return web.json_response({"id": EVIL, "model": EVIL, "system_fingerprint": EVIL, "choices": [choice]})

    async def redirect(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": f"gone {EVIL}"}}, status=401)

    site = web.Application()
    site.router.add_post("/v1/{path:.*}", answer)
    site.router.add_post("/dead/{path:.*}", redirect)
    runner = web.AppRunner(site, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def write(program: Program, sweep: Sweep, url: str) -> None:
    rows = [
        {"id": f"t{n}{EVIL}", "question": EVIL, "answer": EVIL, "task_type": f"a{EVIL}", "difficulty": f"d{EVIL}"}
        for n in range(16)
    ]
    sections = sweep(program.folder)
    (program.folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sections["providers"] = {
        "gate": {"type": "gateway", "base_url": f"{url}/v1", "api_key_envs": ["A"]},
        "dead": {"type": "gateway", "base_url": f"{url}/dead", "api_key_envs": ["A"]},
    }
    deployments = [f"d{EVIL}"]
    routes = [{"provider": name, "deployments": deployments} for name in ("gate", "dead")]
    sections["models"] = {f"m{EVIL}": {"routes": routes}}
    sections["prompts"] = {f"p{EVIL}": {"user": "{input}"}}
    sections["sweep"] = {"prompt_types": [f"p{EVIL}"]}
    program.variables = {"A": "planted-key-of-the-liar", "DEBUG_LOG": "true"}
    program.write(sections)


def require_tame(*ended: Done) -> None:
    for done in ended:
        steering = {sign for sign in done.out + done.err if not sign.isprintable() and sign != "\n"}
        assert steering == set(), done


@pytest.mark.matrix
async def test_no_command_prints_what_steers_a_terminal(
    program: Program, sweep: Sweep, books: Books, liar: str
) -> None:
    write(program, sweep, liar)
    flags = ("--no-stagger", "--display", "plain", "--max-retries", "0", "--max-workers", "2")
    done = await asyncio.to_thread(program, "run", "sweep.yaml", *flags)
    assert done.code == 1, done
    assert "[red]x[/red]" in done.out
    path = program.path(done)
    others = [
        await asyncio.to_thread(program, *arguments)
        for arguments in (
            ("plan", "sweep.yaml"),
            ("plan", "sweep.yaml", "--json"),
            ("plan", "sweep.yaml", "--rehearse"),
            ("doctor", "sweep.yaml"),
            ("doctor", "sweep.yaml", "--json"),
            ("status", path),
            ("status", path, "--json"),
            ("report", path),
            ("limits", "show"),
            ("run", f"no{EVIL}.yaml"),
            ("run", "sweep.yaml", "--set", f"run.{EVIL}=1"),
            ("run", "sweep.yaml", f"--{EVIL}"),
            ("run", "sweep.yaml", "--model", EVIL),
            (EVIL,),
            ("status", EVIL),
            ("export", path, "-o", f"no/{EVIL}.jsonl"),
        )
    ]
    require_tame(done, *others)
    log = (path / "debug.log").read_text(encoding="utf-8")
    assert {sign for sign in log if not sign.isprintable()} == {"\n"}
    rows = books.rows(path)
    assert {row["task_id"] for row in rows} == {f"t{n}{EVIL}" for n in range(16)}
    assert EVIL in {row["output_text"] for row in rows}


@pytest.mark.matrix
async def test_the_full_display_styles_with_its_own_sequences_alone(program: Program, sweep: Sweep, liar: str) -> None:
    write(program, sweep, liar)
    shown = await asyncio.to_thread(on_a_terminal, program, "run", "sweep.yaml", "--no-stagger", "--max-retries", "0")
    assert b"[red]x[/red]" in shown
    for sequence in (b"\x1b]", b"\x07", b"\x1b[31m[red]", "\x9b".encode(), "\u202e".encode()):
        assert sequence not in shown


def on_a_terminal(program: Program, *arguments: str) -> bytes:
    """Everything that a terminal is sent: both streams, as a person sees them."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, **program.variables, "TERM": "xterm-256color", "COLUMNS": "200"}
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *arguments], cwd=program.folder, env=environment,
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while piece := _read(ours):
        shown += piece
    os.close(ours)
    assert process.wait(60) == 1, shown
    return shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux says that the other side is closed
        return b""


@pytest.mark.parametrize("name", ["../outside", "a/b", "a\x00b", "n" * 51, "\x1b[31m", ""])
def test_a_provider_cannot_be_named_like_a_way_out_of_the_run_directory(
    program: Program, sweep: Sweep, name: str
) -> None:
    sections = sweep(program.folder)
    sections["providers"] = {name: sections["providers"]["sim"]}
    sections["models"]["m"]["provider"] = name
    program.write(sections)
    done = program("run", "sweep.yaml")
    assert done.code == 2
    assert "a provider's name has 1 to 50 printable characters and no slash" in done.err
    require_tame(done)


def test_task_ids_name_no_files(program: Program, sweep: Sweep, books: Books) -> None:
    sections = sweep(program.folder)
    names = ["../../outside", "a\x00b", "n" * 10_000, "/etc/passwd", "..", "\n", "=1+1", "\ud83d\ude00"]
    rows = [{"id": name, "question": "1 + 1?", "answer": 2} for name in names]
    (program.folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    program.write(sections)
    before = {path.name for path in program.folder.iterdir()}
    done = program.run("sweep.yaml", "--set", "run.debug_log=true")
    assert done.code == 0
    assert {row["task_id"] for row in books.rows(program.path(done))} == {
        name.encode("utf-16", "surrogatepass").decode("utf-16") for name in names
    }
    assert {path.name for path in program.folder.iterdir()} - before == {"runs", "state"}
    require_tame(done)
