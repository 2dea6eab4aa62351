"""How each model is asked: its own words over the file's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.config.loading import LoadedConfig
from orchestrator.execution.components import instances_of
from orchestrator.execution.owner import asking_of, own_attempt_deadlines
from providers.errors import InputError
from providers.instance import Instance
from providers.messages import Generation
from providers.provider import RouteSpec
from providers.route import Timeouts
from runners.calls.call_context import Deadlines

Load = Callable[..., LoadedConfig]
SHARED = {"temperature": 0, "max_tokens": 512, "stop": "END", "stream": True}


def generation(load: Load, own: dict[str, Any] | None, shared: dict[str, Any] | None = None) -> Generation:
    flags = {} if own is None else {"models.m.generation": own}
    return asking_of(load({"generation": shared or SHARED}, flags=flags).config, "m").generation


def test_what_a_model_does_not_say_is_the_files(load: Load) -> None:
    assert generation(load, None) == Generation(512, 0.0, stop=("END",), stream=True)
    assert generation(load, {"max_tokens": 9, "reasoning_effort": "low"}) == Generation(
        9, 0.0, stop=("END",), stream=True, reasoning_effort="low"
    )


def test_a_null_takes_an_inherited_value_away(load: Load) -> None:
    nothing = dict.fromkeys(SHARED)
    assert generation(load, nothing) == Generation()


def test_every_field_reaches_the_request(load: Load) -> None:
    written: dict[str, Any] = {
        "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop": ["a", "b"], "seed": 3, "stream": True,
        "reasoning_effort": "high", "verbosity": "low", "response_format": {"type": "json_object"}, "tool_choice": "auto",
        "parallel_tool_calls": False, "logprobs": 0, "extra_body": {"top_k": 5},
    }  # fmt: skip
    assert generation(load, None, written) == Generation(**{**written, "stop": ("a", "b")})
    assert set(written) == set(Generation.__dataclass_fields__)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_a_bound_counts_whatever_its_spelling(name: str) -> None:
    assert Generation(max_tokens=5, extra_body={name: 99}).output_limit == 99
    assert Generation(max_tokens=5, extra_body={"top_k": 1}).output_limit == 5
    assert Generation().output_limit is None


def test_a_judge_is_asked_without_what_is_said_for_the_models_that_are_tested(load: Load) -> None:
    loaded = load({"generation": {**SHARED, "extra_body": {"top_k": 1}}})
    assert asking_of(loaded.config, "m").judging == Generation(temperature=0.0, stream=True)
    loaded = load({"generation": SHARED}, flags={"models.m.generation": {"temperature": None, "verbosity": "low"}})
    assert asking_of(loaded.config, "m").judging == Generation(stream=True, verbosity="low")


# ------------------------------------------------------------------ how long for
def test_a_reasoning_model_has_time_for_ten_turns_of_five_minutes(load: Load) -> None:
    usual = asking_of(load({}).config, "m").deadlines
    patient = asking_of(load({}, flags={"models.m.timeouts": "reasoning"}).config, "m").deadlines
    assert usual == Deadlines(300, 1800)
    assert patient == Deadlines(900, 14_400)
    assert patient.sample_s > 10 * 300
    own = load({}, flags={"models.m.timeouts": {"attempt_s": 5}}).config
    assert asking_of(own, "m").deadlines == Deadlines(5, 1800)
    assert own_attempt_deadlines(own) == {"m": 5}
    assert own_attempt_deadlines(load({}).config) == {}


class Adapter:
    """Remembers how its models are to be reached."""

    def __init__(self) -> None:
        self.specs: list[RouteSpec] = []

    def instances(self, model: str, spec: RouteSpec) -> list[Instance]:
        self.specs.append(spec)
        return [Instance(f"sim/{model}", model, model, "sim", f"sim/{model}")]


def spec_of(load: Load, flags: dict[str, Any]) -> RouteSpec:
    adapter = Adapter()
    instances_of(load({}, flags=flags), {"sim": adapter})  # type: ignore[dict-item]
    return adapter.specs[0]


def test_a_models_own_bounds_go_over_its_providers(load: Load) -> None:
    assert spec_of(load, {}).timeouts is None
    flags = {"models.m.timeouts": "reasoning", "providers.sim.timeouts": {"between_tokens_s": 7}}
    assert spec_of(load, flags).timeouts == Timeouts(first_token_s=900, between_tokens_s=7)


def test_what_may_be_adapted_is_the_models_word_or_the_runs(load: Load) -> None:
    assert spec_of(load, {}).adapt == "rename"
    assert spec_of(load, {"run.adapt": "drop"}).adapt == "drop"
    assert spec_of(load, {"run.adapt": "drop", "models.m.adapt": "never"}).adapt == "never"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"models.m.generation": {"temprature": 0}}, "models.m.generation.temprature: unknown key"),
        ({"models.m.generation": {"temperature": 3}}, "models.m.generation.temperature: "),
        ({"models.m.generation": {"extra_body": {"api_key": "x"}}}, "looks like a key"),
        ({"models.m.timeouts": "patient"}, "say `reasoning`, or a mapping"),
        ({"models.m.timeouts": {"attempt_s": 0}}, "models.m.timeouts.attempt_s: "),
        ({"models.m.adapt": "always"}, "models.m.adapt (from --models.m.adapt): "),
    ],
)
def test_what_is_wrong_is_named(load: Load, flags: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        load({}, flags=flags)
    assert says in str(caught.value)
