"""Whatever stands in a sweep file, in .env or behind --set: a configuration, or one InputError in one line."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.cli.options import settings_of
from orchestrator.config.environment import Environment, SettingOverride, _read_dotenv
from orchestrator.config.loading import LoadedConfig, load_config
from providers.errors import InputError

SECTIONS = ("providers", "models", "tasks", "prompts", "prices", "sweep", "generation", "run")
WORDS = (
    "type", "azure", "gateway", "openai", "simulator", "endpoint", "base_url", "api_key_env", "api_key_envs", "provider",
    "deployments", "keys", "routes", "profile", "path", "fields", "scorer", "input", "prompt_types", "epochs", "limit",
    "temperature", "max_tokens", "extra_body", "stagger_s", "seed", "m", "p", "faults", "latency", "answers",
)  # fmt: skip
words = st.sampled_from(WORDS)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | words
keys = words | st.text(max_size=4) | st.integers() | st.none() | st.booleans()
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
files = st.dictionaries(st.sampled_from(SECTIONS) | keys, trees, max_size=6)

FINE: dict[str, Any] = {
    "providers": {"p": {"type": "azure", "endpoint": "https://x.invalid", "api_key_env": "K"}},
    "models": {"m": {"provider": "p"}},
    "tasks": [{"path": "t.jsonl"}],
}


def require_a_configuration_or_a_sentence(
    source: Any, settings: list[SettingOverride], variables: dict[str, str]
) -> None:
    try:
        loaded = load_config(source, Environment(variables), settings)
    except InputError as error:
        said = str(error)
        assert said
        assert "\n" not in said
        assert "Traceback" not in said
        return
    assert isinstance(loaded, LoadedConfig)
    orjson.dumps(loaded.raw)  # the manifest can hold it


@given(files)
@example({**FINE, "generation": {"extra_body": {"x": "\ud800"}}})
@example({**FINE, "generation": {"extra_body": {"x": 2**70}}})
@example({**FINE, "generation": {"extra_body": {1: 2}}})
@example({**FINE, "providers": {1: {"type": "azure"}}})
@example({**FINE, "run": {"seed": float("nan")}})
@example({**FINE, "run": {"stagger_s": [float("inf")]}})
def test_a_tree_of_any_shape(tree: dict[str, Any]) -> None:
    require_a_configuration_or_a_sentence(tree, [], {})


@given(st.sampled_from(SECTIONS), trees)
def test_a_good_file_with_one_section_of_any_shape(section: str, tree: Any) -> None:
    require_a_configuration_or_a_sentence({**FINE, section: tree}, [], {})


@given(st.text(max_size=60) | trees.map(str))
@example("[" * 1500)
@example("a: &a [*a]")
@example("generation: {extra_body: &a {x: *a}}")
@example("!!int x")
@example("a: 0b")
@example("a: !!binary x")
@example("? [a]\n: b")
@example("a: 190:20:30:99999999999999999999e")
@example("? {a: b}\n: c")
@example("- !!python/object/apply:os.system [ls]")
@example("a: " + "1" * 5000)
def test_a_file_of_any_text(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sweep.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        require_a_configuration_or_a_sentence(path, [], {})


settings_text = st.text(max_size=30) | st.builds(
    "{}.{}={}".format, st.sampled_from(SECTIONS), words | st.text(max_size=5), st.text(max_size=10) | trees.map(str)
)


@given(st.lists(settings_text, max_size=3))
@example(["providers=1", "providers.p.x=1"])
@example(["run.seed=" + "[" * 1500])
@example(["run.seed=!!int x"])
@example(["=1"])
@example([".=1"])
@example(["run..seed=1"])
def test_settings_of_any_text(texts: list[str]) -> None:
    try:
        settings = settings_of({"sets": texts})
    except click.UsageError:
        return
    require_a_configuration_or_a_sentence(FINE, settings, {})


@given(st.dictionaries(st.text(max_size=10).map("ORCHESTRATOR_{}".format), st.text(max_size=12), max_size=3))
@example({"ORCHESTRATOR_": "1"})
@example({"ORCHESTRATOR___": "1"})
@example({"ORCHESTRATOR_RUN__": "1"})
def test_variables_of_any_text(variables: dict[str, str]) -> None:
    require_a_configuration_or_a_sentence(FINE, [], variables)


@given(st.binary(max_size=120) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")))
@example(b"A=\x00")
@example(b"\xff")
@example(b"A=${A}${B:-${C}}")
def test_a_dotenv_file_of_any_bytes(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".env"
        path.write_bytes(content)
        try:
            found = _read_dotenv(path)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 - reading it may succeed as well
            return
        assert all(isinstance(value, str) for value in found.values())
