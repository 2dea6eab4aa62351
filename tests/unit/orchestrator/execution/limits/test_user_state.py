"""What outlives a run: learned limits, and locks on keys in use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.execution.limits.user_state import UserState
from orchestrator.results.run_directory.directory import RunDirectory
from providers.errors import InputError

HERE = "https://one.example/openai/deployments/m m KEY"
THERE = "https://two.example/v1 m KEY_1"


def test_what_one_run_learns_the_next_one_knows_by_instance(tmp_path: Path) -> None:
    UserState(tmp_path).remember({HERE: {"cap": 24}})
    UserState(tmp_path).remember({THERE: {"cap": 5}})
    (learned,) = UserState(tmp_path).learned({"a": HERE, "b": "unknown"}).values()
    assert learned == {"cap": 24, "idle_s": learned["idle_s"]}
    assert set(UserState(tmp_path).limits()) == {HERE, THERE}


def test_a_cold_start_is_told_only_when_the_last_run_ended(tmp_path: Path) -> None:
    UserState(tmp_path).remember({HERE: {"cap": 24}})
    assert list(UserState(tmp_path).learned({"a": HERE}, is_cold=True)["a"]) == ["idle_s"]


def test_a_run_that_learns_nothing_keeps_what_was_known_and_notes_its_end(tmp_path: Path) -> None:
    old = {HERE: {"learned_at": "2020-01-01T00:00:00+00:00", "limits": {"cap": 24}}}
    (tmp_path / "limits.json").write_text(json.dumps(old), encoding="utf-8")
    long_s = UserState(tmp_path).learned({"a": HERE})["a"]["idle_s"]
    UserState(tmp_path).remember({}, [HERE, THERE])
    known = UserState(tmp_path).limits()
    assert known[HERE]["limits"] == {"cap": 24}
    assert known[HERE]["learned_at"] == "2020-01-01T00:00:00+00:00"
    assert known[THERE]["limits"] == {}
    assert isinstance(long_s, float)
    assert long_s > 1e8
    assert float(str(UserState(tmp_path).learned({"a": HERE})["a"]["idle_s"])) < 1e8


def test_limits_are_forgotten_by_a_part_of_their_name_or_all(tmp_path: Path) -> None:
    state = UserState(tmp_path)
    state.remember({HERE: {"cap": 24}, THERE: {"cap": 5}})
    assert state.forget("two.example") == 1
    assert set(state.limits()) == {HERE}
    assert state.forget() == 1


def test_a_damaged_file_of_limits_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "limits.json").write_text("{", encoding="utf-8")
    assert UserState(tmp_path).limits() == {}


def test_a_key_in_use_is_refused_and_the_run_that_holds_it_named(tmp_path: Path) -> None:
    with UserState(tmp_path).locked([HERE], "runs/first"):
        with UserState(tmp_path).locked([THERE], "the run runs/other"):
            pass
        with (
            pytest.raises(InputError, match="KEY is in use by the run runs/first"),
            UserState(tmp_path).locked([HERE], "x"),
        ):
            pass
    with UserState(tmp_path).locked([HERE], "runs/second"):
        pass


HOLDER = """
import sys
from pathlib import Path
from orchestrator.execution.limits.user_state import UserState
from orchestrator.results.run_directory.directory import RunDirectory
path = Path(sys.argv[1])
with UserState(path).locked([sys.argv[2]], "runs/killed"), RunDirectory(path).held():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_locks_of_a_killed_process_are_free_at_once(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), HERE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="runs/killed"), UserState(tmp_path).locked([HERE], "x"):
            pass
        with pytest.raises(InputError, match="being run by another process"), RunDirectory(tmp_path).held():
            pass
        holder.kill()
        holder.wait()
        with UserState(tmp_path).locked([HERE], "x"), RunDirectory(tmp_path).held():
            pass
