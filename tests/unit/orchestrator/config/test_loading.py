"""From a person's file to a configuration: what wins over what, and one sentence where something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from orchestrator.config.environment import Environment, SettingOverride, read_environment
from orchestrator.config.loading import LoadedConfig, load_config
from providers.adapters.azure import AzureSettings
from providers.adapters.openai_compatible import OpenAISettings
from providers.errors import InputError
from providers.provider import Trust

Load = Callable[..., LoadedConfig]
SECRET = "sk-very-secret-0123456789"


@pytest.fixture
def sweep_file(tmp_path: Path, raw: dict[str, Any]) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump({**raw, "run": {"max_retries": 1}}))
    return path


def complaint(load: Load, sections: Mapping[str, Any], **more: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(sections, **more)
    message = str(caught.value)
    assert "\n" not in message
    return message


# ------------------------------------------------------------------ what wins
def test_the_file_gives_way_to_dotenv_to_the_environment_to_the_flags(
    sweep_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotenv, name = tmp_path / ".env", "ORCHESTRATOR_RUN__MAX_RETRIES"
    monkeypatch.delenv(name, raising=False)

    def max_retries(*flags: SettingOverride) -> int:
        return load_config(sweep_file, read_environment(dotenv), flags).config.run.max_retries

    assert max_retries() == 1
    dotenv.write_text(f"{name}=2\n")
    assert max_retries() == 2
    monkeypatch.setenv(name, "3")
    assert max_retries() == 3
    assert max_retries(SettingOverride("run.max_retries", "4", "--max-retries")) == 4


def test_what_was_merged_is_kept_without_defaults(load: Load) -> None:
    loaded = load({}, variables={"RATE_MODE": "fixed"}, flags={"sweep.limit": 3})
    assert loaded.raw["run"] == {"rate_mode": "fixed"}
    assert loaded.raw["sweep"] == {"limit": 3}


def test_a_mapping_that_is_passed_in_is_not_changed(raw: dict[str, Any]) -> None:
    load_config(raw, Environment({"RATE_MODE": "fixed"}))
    assert "run" not in raw


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"sweep.prompt_types": "baseline, cot"}, ("baseline", "cot")),
        ({"sweep.prompt_types": ["cot"]}, ("cot",)),
        ({"sweep.prompt_types": "[cot, optimal]"}, ("cot", "optimal")),
    ],
)
def test_a_list_may_be_written_with_commas(load: Load, flags: dict[str, object], expected: tuple[str, ...]) -> None:
    assert load({}, flags=flags).config.sweep.prompt_types == expected


def test_rates_and_staggers_may_be_single_numbers_or_lists(load: Load) -> None:
    run = load({}, flags={"sweep.tool_success_rates": "0.8", "run.stagger_s": "0,30"}).config
    assert run.sweep.tool_success_rates == (0.8,)
    assert run.run.stagger_s == (0, 30)


def test_names_that_look_like_numbers_stay_names(load: Load) -> None:
    config = load({"sweep": {"difficulties": [1, 2]}}, flags={"sweep.task_types": "3", "run.output_dir": "2026"}).config
    assert config.sweep.difficulties == ("1", "2")
    assert config.sweep.task_types == ("3",)
    assert config.run.output_dir == "2026"


def test_all_stands_for_every_difficulty(load: Load) -> None:
    assert load({"sweep": {"difficulties": "all"}}).config.sweep.difficulties is None


def test_a_flag_reaches_a_model_whose_name_has_a_dot(load: Load) -> None:
    models = {"qwen2.5-72b": {"provider": "sim", "deployments": ["m"]}}
    loaded = load({"models": models}, flags={"models.qwen2.5-72b.workers": "7"})
    assert loaded.config.models["qwen2.5-72b"].workers == 7


def test_a_date_needs_no_quotes_where_text_is_wanted(tmp_path: Path, raw: dict[str, Any]) -> None:
    path = tmp_path / "sweep.yaml"
    azure = "  a: {type: azure, endpoint: 'https://x.example', api_key_env: K, api_version: 2024-10-21}\n"
    path.write_text(f"providers:\n{azure}models: {{m: {{provider: a}}}}\ntasks: [{{path: t.jsonl}}]\n")
    settings = load_config(path, Environment({})).providers["a"]
    assert isinstance(settings, AzureSettings)
    assert settings.api_version == "2024-10-21"


def test_relative_paths_start_from_the_files_folder(sweep_file: Path) -> None:
    assert load_config(sweep_file, Environment({})).base == sweep_file.parent.resolve()
    assert load_config(sweep_file, Environment({}), base=Path("/elsewhere")).base == Path("/elsewhere")


# ------------------------------------------------------------------ what is wrong
@pytest.mark.parametrize(
    ("sections", "place", "nearest"),
    [
        ({"run": {"max_retrys": 3}}, "run.max_retrys", "max_retries"),
        ({"generation": {"temprature": 1}}, "generation.temprature", "temperature"),
        ({"swep": {}}, "swep", "sweep"),
        ({"models": {"m": {"provider": "sim", "deploymnts": ["m"]}}}, "models.m.deploymnts", "deployments"),
        ({"tasks": [{"pth": "a.jsonl"}]}, "tasks.0.pth", "path"),
        ({"prompts": {"mine": {"systm": "x"}}}, "prompts.mine.systm", "system"),
        (
            {"providers": {"sim": {"type": "simulator", "deployments": {"m": {"latency": {"ttfts": 1}}}}}},
            "providers.sim.deployments.m.latency.ttfts",
            "ttft_s",
        ),
    ],
)
def test_a_misspelt_key_is_named_with_the_nearest(
    load: Load, sections: dict[str, Any], place: str, nearest: str
) -> None:
    message = complaint(load, sections)
    assert message.startswith(f'the configuration: {place}: unknown key; did you mean "{nearest}"? Known: ')


def test_the_sentence_names_the_file(sweep_file: Path) -> None:
    sweep_file.write_text(sweep_file.read_text().replace("max_retries", "max_retrys"))
    with pytest.raises(InputError, match=r"^\S+sweep\.yaml: run\.max_retrys: unknown key; did you mean"):
        load_config(sweep_file, Environment({}))


def test_an_unknown_variable_with_our_prefix_is_named_as_the_culprit(load: Load) -> None:
    message = complaint(load, {}, variables={"ORCHESTRATOR_RUN__MAX_RETRYS": "3"})
    assert "run.max_retrys (from ORCHESTRATOR_RUN__MAX_RETRYS): unknown key" in message
    assert 'did you mean "max_retries"?' in message


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"providers": {"sim": {"type": "simulatr"}}}, "providers.sim.type: there is no provider type 'simulatr'"),
        ({"providers": {"sim": {}}}, "providers.sim.type is missing; say azure, gateway, openai or simulator"),
        ({"models": {"m": {"provider": "simm"}}}, "models.m names the provider 'simm', which is not under `providers`"),
        ({"models": {"m": {}}}, "models.m: give either `provider` or `routes`"),
        ({"models": {"m": {"provider": "sim", "routes": [{"provider": "sim"}]}}}, "give either `provider` or `routes`"),
        ({"models": {}}, "models: is empty; name at least one"),
        ({"run": {"max_retries": "many"}}, "run.max_retries: input should be a valid integer"),
        ({"run": {"rate_mode": "adaptiv"}}, "run.rate_mode: input should be 'adaptive' or 'fixed', not 'adaptiv'"),
        ({"run": {"stagger_s": [0, -1]}}, "run.stagger_s.1: input should be greater than or equal to 0"),
        ({"models": {"m": {"provider": "sim", "workers": 0}}}, "models.m.workers: input should be greater"),
        ({"sweep": {"tool_success_rates": [1.5]}}, "sweep.tool_success_rates.0: input should be less than or equal"),
        ({"sweep": {"models": ["mm"]}}, "no model 'mm'; did you mean \"m\"?"),
        ({"prices": {"m": {"input_per_million": 1}}}, "prices.m.output_per_million: is missing"),
    ],
)
def test_a_wrong_value_is_one_sentence_with_its_place(load: Load, sections: dict[str, Any], says: str) -> None:
    assert says in complaint(load, sections)


def test_a_wrong_value_says_which_flag_or_variable_gave_it(load: Load) -> None:
    assert "run.seed (from --run.seed): " in complaint(load, {}, flags={"run.seed": "x"})
    assert "run.rate_mode (from RATE_MODE): " in complaint(load, {}, variables={"RATE_MODE": "fast"})


def test_several_problems_are_counted(load: Load) -> None:
    assert complaint(load, {"run": {"max_retries": -1, "grace_s": -1}}).endswith("(and 1 more)")


def test_a_name_that_yaml_reads_as_a_number_is_no_traceback(load: Load) -> None:
    message = complaint(load, {"models": {4: {"provider": "sim"}}}, flags={"models.m.provider": "sim"})
    assert message.startswith("the configuration: models.4")


def test_a_setting_that_is_no_yaml_or_leads_nowhere_is_said(load: Load) -> None:
    assert "'[' is not a YAML value" in complaint(load, {}, flags={"run.rate_mode": "["})
    assert "goes through tasks, which is not a mapping" in complaint(load, {}, flags={"tasks.0.path": "x"})


@pytest.mark.parametrize("value", [[SECRET], {SECRET: 1}, SECRET])
@pytest.mark.parametrize("key", ["api_key_env", "api_key", "endpoint"])
def test_a_key_in_a_place_where_none_belongs_is_never_repeated(load: Load, key: str, value: object) -> None:
    azure = {"type": "azure", "endpoint": "https://x.example", "api_key_env": "K", key: value}
    assert "very-secret" not in complaint(load, {"providers": {"sim": azure}})


def test_a_provider_that_is_a_key_is_not_repeated(load: Load) -> None:
    assert "very-secret" not in complaint(load, {"providers": {"sim": SECRET}})


# ------------------------------------------------------------------ files
@pytest.mark.parametrize(
    "text", ["models:\n  m: {a: 1}\n  m: {b: 2}\n", "models: {}\nmodels: {}\n", "{a: {1: x, 1: y}}"]
)
def test_a_key_that_stands_twice_is_refused_and_not_lost(tmp_path: Path, text: str) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"twice\.yaml is not valid YAML: line \d: the key '\w+' stands twice"):
        load_config(path, Environment({}))


def test_a_key_may_override_what_a_merge_brings(sweep_file: Path) -> None:
    text = sweep_file.read_text() + "generation: {<<: &usual {max_tokens: 9, seed: 1}, max_tokens: 5}\n"
    sweep_file.write_text(text)
    assert load_config(sweep_file, Environment({})).config.generation.max_tokens == 5


def test_bad_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("providers:\n  a: {type: azure\nmodels: {}\n")
    with pytest.raises(InputError, match=r"bad\.yaml is not valid YAML: line 3: "):
        load_config(path, Environment({}))


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"- a\n- b\n", "must hold a mapping"), (b"", "must hold a mapping"), (b"\xff\xfe", "is not UTF-8 text")],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        load_config(path, Environment({}))


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read \S+none\.yaml: No such file or directory"):
        load_config(tmp_path / "none.yaml", Environment({}))


# ------------------------------------------------------------------ whom a connection trusts
def tls(**settings: Any) -> dict[str, Any]:
    return {"providers": {"sim": {"type": "openai", "base_url": "https://127.0.0.1:1/v1", **settings}}}


def test_a_ca_file_stands_beside_the_file_that_names_it(load: Load, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ours.pem"))
    settings = load(tls(ca_file="ours.pem"), base=tmp_path).providers["sim"]
    assert isinstance(settings, OpenAISettings)
    assert settings.as_trust() == Trust(verify=True, ca_file=str(tmp_path / "ours.pem"))


@pytest.mark.parametrize(("name", "words"), [("none.pem", "cannot be read"), ("empty.pem", "holds no PEM certificate")])
def test_a_ca_file_that_is_none_is_named(load: Load, tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty.pem").write_text("no certificate\n")
    message = complaint(load, tls(ca_file=name), base=tmp_path)
    assert f"providers.sim.ca_file: {tmp_path / name} {words}" in message


@pytest.mark.parametrize("verify_tls", [True, False])
def test_certificates_that_nobody_checks_are_warned_of(load: Load, verify_tls: bool) -> None:
    warnings = load(tls(verify_tls=verify_tls)).warnings()
    assert [warning.partition(":")[0] for warning in warnings] == ([] if verify_tls else ["providers.sim"])
