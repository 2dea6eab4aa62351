"""The part of the user's file about tools: the registry, the text protocol, and how simulated tools behave."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from .fields import Count, Rates, Section, Share, Text, listed


class RegistryConfig(Section):
    """A registry of tools, and the column that names those of a task."""

    registry: str
    """A JSON, JSON Lines or YAML file, relative to the configuration file: a list of tools, or a mapping of names to tools. Read are name,
    description, parameters and dependencies."""
    names: str
    """The column with the names of a task's tools, in the order of its plan: a list, also as JSON, or names separated by commas. A task
    without `metadata.plan` gets the plan that calls them in this order, with any arguments."""
    offer: Literal["named", "all"] = "named"
    """The tools that a model is offered, or finds by searching: those that the task names, or the whole registry."""


def _tag_name(value: str) -> str:
    name = value.strip().removeprefix("<").removesuffix(">")
    if not name or any(sign in name for sign in "<>/\n"):
        raise ValueError(f"{value!r} is no tag; write its name, such as tool_call")
    return name


Tag = Annotated[Text, AfterValidator(_tag_name)]


class TextToolsConfig(Section):
    """The text protocol of models with `tool_format: text`."""

    call: Tag = "tool_call"
    """Tag of a call."""
    result: Tag = "tool_response"
    """Tag of a result."""
    body: Literal["json", "name"] = "json"
    """What the model is told to write in a call: JSON with name and arguments, or the name alone. Either is read."""
    search: Tag | None = None
    """Tag of a search for tools, such as tool_search. With it, the model is not given the tools."""
    info: Tag | None = None
    """Tag of a request for information about one tool, such as tool_info."""
    search_results: Count = 5
    """Most tools that a search returns."""
    calls_per_turn: Count | None = None
    """Most calls of one reply that are made; the model is told of the others. None: all."""
    instructions: str | None = None
    """Your own words in place of ours; {tools} stands for the tools. An empty text adds nothing, because your prompts say all."""


class ReliabilityConfig(Section):
    """How the success rate of a simulated call follows from the calls before it."""

    missing_dependency: Share = 1.0
    """Factor for every tool that this tool depends on (`dependencies` of the registry) and that has not succeeded in the sample."""
    after_failures: Rates = ()
    """Factors after one, two, … failed calls in a row; the last one counts for more."""
    least: Share = 0.0
    """Lowest rate."""
    most: Share = 1.0
    """Highest rate."""


class ToolsConfig(Section):
    """How tools are offered, called and simulated."""

    max_turns: Count = 10
    """Replies of the model in one sample; an answer that needs more is scored as it stands, with the error class max_turns."""
    failure_kinds: Annotated[
        tuple[Literal["error", "timeout", "empty", "malformed", "stale"], ...],
        BeforeValidator(listed, json_schema_input_type=str | list[str]),
        Field(min_length=1),
    ] = ("error", "timeout", "empty", "malformed", "stale")
    """How tools fail where the sweep's tool success rate makes them; one is drawn for every failing call."""
    text: TextToolsConfig = TextToolsConfig()
    """The protocol of models with `tool_format: text`."""
    reliability: ReliabilityConfig = ReliabilityConfig()
    """How a call's chance depends on the calls before it."""

    def as_written(self) -> str:
        """Return what results belong to; the sections at their defaults are left out, so that older fingerprints stay valid."""
        unset = {
            name for name in ("text", "reliability") if getattr(self, name) == type(self).model_fields[name].default
        }
        return self.model_dump_json(exclude=unset)
