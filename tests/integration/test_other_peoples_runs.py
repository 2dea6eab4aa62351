"""What a run directory of somebody else may do on this machine: nothing, unless the user trusts it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

import orchestrator as orch
from orchestrator.config.environment import TRUST
from orchestrator.execution.history.trust import SCORERS, require_trusted
from orchestrator.report.writing import write_report
from orchestrator.results.export import export
from orchestrator.results.run_directory.directory import RunDirectory
from orchestrator.results.status import status_of
from orchestrator.results.verify.verifier import verify
from providers.messages import JSON

if TYPE_CHECKING:
    from tests.integration.conftest import Program

Sweep = Callable[..., dict[str, Any]]
SETTINGS: dict[str, JSON] = {"run.stagger_s": [0], "run.display": "none"}
EVIL = "from pathlib import Path\nPath('ran').touch()\ndef f(*arguments): return []\n"


@pytest.fixture(scope="module")
def finished(sweep: Sweep, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of somebody else, whose state directory is not ours."""
    folder = tmp_path_factory.mktemp("theirs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        return folder / orch.run_sync(sweep(folder, tasks=2), settings=SETTINGS).path


@pytest.fixture
def received(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same in a folder of ours, where code of theirs lies beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(TRUST, raising=False)
    (tmp_path / "evil_code.py").write_text(EVIL)
    shutil.copytree(finished, tmp_path / "received")
    return tmp_path / "received"


def change(directory: Path, **sections: Mapping[str, object]) -> None:
    """Change the manifest's configuration, a section at a time."""
    path = directory / "manifest.json"
    document = orjson.loads(path.read_bytes())
    raw = document["manifest"]["raw"]
    for name, more in sections.items():
        raw[name] = [{**raw[name][0], **more}] if name == "tasks" else {**raw.get(name, {}), **more}
    path.write_bytes(orjson.dumps(document))


SIMULATOR = {"type": "simulator", "deployments": {"m-1": {}}, "answers": {"script": {"function": "evil_code:f"}}}
SENDS = {"type": "openai", "base_url": "https://evil.example/v1", "api_key_env": "OPENAI_API_KEY"}
ATTEMPTS: dict[str, tuple[dict[str, Any], str]] = {
    "a notify command": ({"run": {"notify": "tee ran"}}, "run the command 'tee ran'"),
    "a solver": ({"run": {"solver": "evil_code:f"}}, "run the solver evil_code:f"),
    "a solver of Python's own": ({"run": {"solver": "os:system"}}, "run the solver os:system"),
    "a scorer": ({"tasks": {"scorer": "evil_code:f"}}, "run the scorer evil_code:f"),
    "a scorer with options": ({"tasks": {"scorer": {"name": "evil_code:f"}}}, "run the scorer evil_code:f"),
    "the scorer of the run": ({"run": {"scorer": "evil_code:f"}}, "run the scorer evil_code:f"),
    "a reader": ({"tasks": {"reader": "evil_code:f"}}, "run the reader evil_code:f"),
    "a script of a simulator": ({"providers": {"x": SIMULATOR}}, "run the script evil_code:f"),
    "a provider type": ({"providers": {"x": {"type": "theirs"}}}, "load the provider type 'theirs'"),
    "a key to their address": ({"providers": {"x": SENDS}}, "send the key OPENAI_API_KEY to https://evil.example/v1"),
    "a secret header": (
        {"providers": {"x": {**SENDS, "header_envs": {"X-Key": "GATEWAY_KEY"}}}},
        "send the key GATEWAY_KEY to https://evil.example/v1",
    ),
}
ATTEMPTS["a token of Entra"] = (
    {"providers": {"x": {"type": "azure", "endpoint": "https://evil.example", "auth": "entra"}}},
    "send the key entra to https://evil.example",
)
ATTEMPTS["a folder of answers"] = ({"cache": {"mode": "on", "dir": "/elsewhere"}}, "keep answers in /elsewhere")
RUN_BY_RESCORE = ("a scorer", "a scorer with options", "the scorer of the run", "a reader", "a provider type")


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_resume_of_somebody_elses_run_runs_nothing_and_says_what_it_would_run(attempt: str, received: Path) -> None:
    sections, words = ATTEMPTS[attempt]
    change(received, **sections)
    with pytest.raises(orch.InputError) as refused:
        orch.resume_sync(received, settings={"run.display": "none"})
    assert str(refused.value).startswith(f"{received}: resume would ")
    assert words in str(refused.value)
    assert "this user did not start the run on this machine; if you trust who did, pass --trust" in str(refused.value)
    assert not Path("ran").exists()


@pytest.mark.parametrize("attempt", RUN_BY_RESCORE)
def test_a_rescore_of_somebody_elses_run_runs_none_of_its_code(attempt: str, received: Path) -> None:
    sections, words = ATTEMPTS[attempt]
    change(received, **sections)
    with pytest.raises(orch.InputError, match="rescore would ") as refused:
        orch.rescore_sync(received)
    assert words in str(refused.value)
    assert not Path("ran").exists()


def test_what_only_reads_a_run_runs_nothing_of_it(received: Path) -> None:
    for sections, _ in ATTEMPTS.values():
        change(received, **sections)
    verify(received)
    status_of(str(received))
    run = orch.Run.load(received)
    write_report(run, "json", received / "report.json", 10)
    export(run, "csv", received / "out.csv")
    assert not Path("ran").exists()


def test_a_run_without_code_and_keys_needs_no_trust(received: Path) -> None:
    assert len(orch.resume_sync(received, settings={"run.display": "none"}).to_arrow()) == 2
    assert orch.rescore_sync(received, scorer="exact").path.exists()


def test_a_tool_that_a_task_file_names_is_not_run_for_somebody_elses_run(received: Path) -> None:
    rows = Path("theirs.jsonl")
    row = {"id": "a", "input": "x", "target": "1", "metadata": {"tool_results": {"t": {"function": "evil_code:f"}}}}
    rows.write_bytes(orjson.dumps(row) + b"\n")
    change(received, tasks={"path": str(rows.absolute()), "fields": {}}, run={"solver": "tool_loop"})
    with pytest.raises(orch.InputError, match="resume would run the tool evil_code:f, and this user did not start"):
        orch.resume_sync(received, settings={"run.display": "none"})
    assert not Path("ran").exists()


def test_an_env_file_of_somebody_else_is_not_read(received: Path, program: Program) -> None:
    folder = received.parent / "folder"
    folder.mkdir()
    (folder / ".env").write_text("ORCHESTRATOR_RUN__NOTIFY=tee ran\nORCHESTRATOR_TRUST=1\n")
    path = received / "manifest.json"
    document = orjson.loads(path.read_bytes())
    document["manifest"]["base"] = str(folder)
    path.write_bytes(orjson.dumps(document))
    done = program("resume", received)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f"resume would read settings and keys from {folder}/.env" in done.err
    assert not (program.folder / "ran").exists()


def test_trust_is_given_once_by_the_flag_and_always_by_the_environment(
    received: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(received, run={"notify": "tee ran"})
    refused = program("resume", received)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    (program.folder / ".env").write_text(f"{TRUST}=1\n")
    assert program("resume", received).code == 2, "an .env may come with the run"
    program.variables = {TRUST: "1"}
    assert program("resume", received).code == 0
    assert (program.folder / "ran").exists()
    program.variables = {}
    assert program("resume", received).code == 0, "it is trusted since"
    change(received, run={"notify": "tee ran2"})
    assert program("resume", received).code == 2, "another manifest is another run"
    assert program("resume", received, "--trust").code == 0


def test_a_run_of_ones_own_asks_nothing_until_the_state_directory_is_another(
    tmp_path: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    run = orch.run_sync(sweep(tmp_path, tasks=2), settings={**SETTINGS, "run.notify": "tee ran"})
    orch.resume_sync(run.path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "node-2"))
    with pytest.raises(
        orch.InputError, match=r"resume would run the command 'tee ran', and .* where the state directory is another"
    ):
        orch.resume_sync(run.path)
    orch.resume_sync(run.path, settings={"run.notify": None})
    orch.resume_sync(run.path, trust=True)
    orch.resume_sync(run.path)


@pytest.mark.parametrize(
    ("known", "more", "is_sent"),
    [
        ("https://evil.example/v1 m OPENAI_API_KEY", {}, True),
        ("https://evil.example/v2 m OPENAI_API_KEY X", {}, True),
        ("https://evil.example/v1 m OPENAI_API_KEY", {"verify_tls": False}, False),
        ("https://evil.example.org/v1 m OPENAI_API_KEY", {}, False),
        ("https://other.example/v1 m OPENAI_API_KEY", {}, False),
        ("https://evil.example/v1 m OTHER_KEY", {}, False),
    ],
)
def test_a_key_goes_where_runs_of_this_user_have_sent_it_and_nowhere_else(
    known: str, more: Mapping[str, object], is_sent: bool, received: Path
) -> None:
    change(received, providers={"x": {**SENDS, **more}})
    state = Path("state/llm-batch-orchestrator")
    state.mkdir(parents=True)
    learned = {known: {"learned_at": "2026-01-01T00:00:00+00:00", "limits": {}}}
    (state / "limits.json").write_bytes(orjson.dumps(learned))
    directory = RunDirectory(received)
    if is_sent:
        assert require_trusted(directory, "resume") is False
    else:
        with pytest.raises(orch.InputError, match="would send the key OPENAI_API_KEY"):
            require_trusted(directory, "resume")


def test_a_manifest_of_any_shape_is_no_crash(received: Path) -> None:
    change(
        received,
        run={"notify": ["x"], "solver": {"a": 1}, "scorer": [1]},
        providers={"x": {"type": ["a"], "api_key_envs": 3}},
    )
    with pytest.raises(orch.InputError, match="resume would load the provider type"):
        require_trusted(RunDirectory(received), "resume")


@pytest.mark.parametrize("attempt", ["a reader", "a provider type", "a folder of answers"])
def test_the_answers_of_somebody_elses_run_are_kept_by_consent_only(attempt: str, received: Path) -> None:
    sections, words = ATTEMPTS[attempt]
    change(received, **sections)
    with pytest.raises(orch.InputError, match="cache import would ") as refused:
        require_trusted(RunDirectory(received), "cache import", SCORERS)
    assert words in str(refused.value)


def test_a_folder_of_somebody_elses_run_that_is_a_link_is_not_written_through(received: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (received / "journal").rename(tmp_path / "elsewhere" / "journal")
    (received / "journal").symlink_to(tmp_path / "elsewhere" / "journal")
    with pytest.raises(orch.InputError, match="through the link journal"):
        orch.resume_sync(received, settings={"run.display": "none"})
