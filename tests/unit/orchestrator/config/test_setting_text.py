"""Settings that are texts are what was typed; all others are YAML."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.config.loading import LoadedConfig
from providers.errors import InputError

Load = Callable[..., LoadedConfig]

NAMES = ["x #y", "1_000", "0x1f", "no", "~", "[x]", "#x", "a\nb", "{y}", "'q", "null", " sp ", "é中😀"]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_what_was_typed(load: Load, name: str) -> None:
    assert load(flags={"run.output_dir": name}).config.run.output_dir == name
    assert load(variables={"ORCHESTRATOR_RUN__OUTPUT_DIR": name}).config.run.output_dir == name


def test_a_name_that_is_no_utf_8_and_an_empty_one_get_a_sentence(load: Load) -> None:
    with pytest.raises(InputError, match=r"^--run.output_dir: the value is not UTF-8 text; choose a name that is$"):
        load(flags={"run.output_dir": "\udcff"})
    with pytest.raises(InputError, match=r"run.output_dir \(from --run.output_dir\): "):
        load(flags={"run.output_dir": ""})


def test_a_sign_beyond_unicode_gets_a_sentence(load: Load) -> None:
    with pytest.raises(InputError, match=r"^--run.max_retries: .* is not a YAML value: "):
        load(flags={"run.max_retries": '"\\UFFFFFFFF"'})


@pytest.mark.parametrize(
    ("path", "typed", "value"),
    [
        ("run.notify", "1_000", "1_000"),
        ("run.notify", "null", None),
        ("run.notify", "Null", None),
        ("run.notify", "NULL", None),
        ("run.notify", '"null"', "null"),
        ("run.notify", '"a b" c', '"a b" c'),
        ("run.notify", "'it' is 'so'", "'it' is 'so'"),
        ("run.notify", '"C:\\users"', '"C:\\users"'),
        ("run.output_dir", "'q'", "q"),
        ("run.scorer", '"exact"', "exact"),
        ("run.scorer", "{name: numeric}", {"name": "numeric"}),
        ("run.scorer", "exact", "exact"),
        ("prompts.p", "Say #1: {input}", "Say #1: {input}"),
        ("providers.other.base_url", "http://y/1_000", "http://y/1_000"),
        ("run.max_retries", "0x10", 16),
        ("sweep.models", "[m]", ["m"]),
    ],
)
def test_the_type_of_a_setting_says_whether_it_is_text(load: Load, path: str, typed: str, value: object) -> None:
    other = {"type": "openai", "base_url": "http://x/v1", "api_key_env": "K"}
    sim = {"type": "simulator", "deployments": {"m": {}}}
    found: object = load({"providers": {"sim": sim, "other": other}}, flags={path: typed}).raw
    for key in path.split("."):
        assert isinstance(found, dict)
        found = found[key]
    assert found == value
