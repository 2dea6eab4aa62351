"""Alerts reach a callback and a command."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.execution.alerts.events import Events
from orchestrator.execution.prepare import _require_command
from providers.errors import InputError


async def test_a_callback_and_a_command_are_told_the_same(tmp_path: Path) -> None:
    told: list[Mapping[str, Any]] = []
    heard = tmp_path / "heard.jsonl"
    script = f"import sys; open({str(heard)!r}, 'a').write(sys.stdin.read())"
    events = Events(told.append, f'{sys.executable} -c "{script}"')
    events.emit("run_finished", {"exit_code": 0})
    await events.aclose()
    assert [json.loads(line) for line in heard.read_text(encoding="utf-8").splitlines()] == told
    assert told == [{"event": "run_finished", "exit_code": 0}]


async def test_a_command_that_is_gone_by_then_ends_no_run_and_is_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events = Events(notify="/nowhere/at/all")
    events.emit("health", {})
    events.emit("run_finished", {})
    await events.aclose()
    (said,) = caplog.messages
    assert said.startswith("the notify command cannot be run (")
    assert "health may not have been told" in said


@pytest.mark.parametrize("command", ["no-such-program --now", "'unclosed", ""])
def test_a_command_that_cannot_be_run_is_refused_before_the_run(command: str) -> None:
    with pytest.raises(InputError, match="--notify"):
        _require_command(command)


async def test_a_callback_that_raises_is_not_asked_again_and_ends_no_run() -> None:
    told: list[str] = []

    def fall_over(event: Mapping[str, Any]) -> None:
        told.append(str(event["event"]))
        raise ValueError("my own fault")

    events = Events(fall_over)
    events.emit("health", {})
    events.emit("run_finished", {})
    assert told == ["health"]


async def test_what_a_thread_says_is_told_at_once_and_the_command_hears_it_when_the_loop_moves(tmp_path: Path) -> None:
    told: list[Mapping[str, Any]] = []
    heard = tmp_path / "heard.jsonl"
    script = f"import sys; open({str(heard)!r}, 'a').write(sys.stdin.read())"
    events = Events(told.append, f'{sys.executable} -c "{script}"')
    await asyncio.to_thread(events.emit_from_thread, "loop_blocked", {"blocked_s": 5.0})
    assert told == [{"event": "loop_blocked", "blocked_s": 5.0}]
    await asyncio.sleep(0)
    await events.aclose()
    assert [json.loads(line) for line in heard.read_text(encoding="utf-8").splitlines()] == told
