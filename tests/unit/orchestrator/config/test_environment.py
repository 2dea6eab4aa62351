"""The environment: what wins over what, which names are settings, and that nothing secret is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config.environment import Environment, dotenv_warning, read_environment
from providers.errors import InputError

SECRET = "sk-very-secret-0123456789"


def test_a_variable_of_the_process_wins_over_the_dotenv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("KEY_A=from-file\nKEY_B=from-file\n")
    monkeypatch.setenv("KEY_A", "from-process")
    monkeypatch.delenv("KEY_B", raising=False)
    environment = read_environment(dotenv)
    assert environment.key("KEY_A").secret == "from-process"
    assert environment.key("KEY_B").secret == "from-file"


def test_a_missing_dotenv_file_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_A", "v")
    assert read_environment(tmp_path / ".env").key("KEY_A").secret == "v"


def test_a_dotenv_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe=1\n")
    with pytest.raises(InputError, match=r"cannot read \S+\.env: UnicodeDecodeError; it must be UTF-8 text"):
        read_environment(tmp_path / ".env")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("RATE_MODE", "run.rate_mode"),
        ("STORAGE_FORMAT", "run.storage_format"),
        ("DEBUG_LOG", "run.debug_log"),
        ("DEBUG_PROCESS_NUM", "run.debug_process_num"),
        ("ORCHESTRATOR_RUN__MAX_RETRIES", "run.max_retries"),
        ("ORCHESTRATOR_SWEEP__PROMPT_TYPES", "sweep.prompt_types"),
        ("ORCHESTRATOR_PROVIDERS__SIM__SEED", "providers.sim.seed"),
    ],
)
def test_a_variable_names_a_setting_of_the_file(name: str, path: str) -> None:
    (setting,) = Environment({name: "3", "UNRELATED": "x"}).settings()
    assert (setting.path, setting.value, setting.source) == (path, "3", name)


def test_the_long_name_of_a_setting_comes_after_its_alias_and_so_wins() -> None:
    settings = Environment({"ORCHESTRATOR_RUN__RATE_MODE": "fixed", "RATE_MODE": "adaptive"}).settings()
    assert [setting.value for setting in settings] == ["adaptive", "fixed"]


@pytest.mark.parametrize("variables", [{}, {"KEY_A": ""}, {"KEY_A": "  "}])
def test_a_missing_or_empty_key_is_one_sentence_with_its_name(variables: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        Environment(variables).key("KEY_A")
    assert str(caught.value) == "the environment variable KEY_A is not set; export it or write it into .env"


def test_a_key_is_trimmed() -> None:
    assert Environment({"KEY_A": f" {SECRET}\n"}).key("KEY_A").secret == SECRET


def test_a_key_that_may_be_missing_has_its_default() -> None:
    assert Environment({}).key_or("KEY_A", otherwise="made-up").secret == "made-up"
    assert Environment({"KEY_A": "said"}).key_or("KEY_A", otherwise="made-up").secret == "said"


def test_neither_the_environment_nor_a_key_shows_a_secret() -> None:
    environment = Environment({"KEY_A": SECRET})
    key = environment.key("KEY_A")
    for shown in (repr(environment), str(environment), repr(key), str(key), repr([key])):
        assert SECRET not in shown
    assert "KEY_A" in repr(key)


@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_dotenv_file_that_others_can_read_is_warned_of(tmp_path: Path, mode: int, warns: bool) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("KEY_A=x\n")
    dotenv.chmod(mode)
    assert dotenv_warning(dotenv) == (f"{dotenv} can be read by others; run: chmod 600 {dotenv}" if warns else None)


def test_no_dotenv_file_is_no_reason_to_warn(tmp_path: Path) -> None:
    assert dotenv_warning(tmp_path / ".env") is None
