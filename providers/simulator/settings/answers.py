"""Settings of a simulated provider's answers: how good and how long they are, how they are spoilt, and answers of a person's own."""

from __future__ import annotations

from pydantic import Field, model_validator

from .fields import Count, NotNegative, Probability, SimulatorSection


class CorruptionSettings(SimulatorSection):
    """Shares of answers that are corrupted, by kind, drawn by sample and turn. Where a kind does not apply, the answer stays unchanged.

    The first six corrupt tool calls (`format` also a judge's verdict); `refusal` corrupts any answer.
    """

    tool_selection: Probability = 0.0
    """Another tool is called."""
    parameter: Probability = 0.0
    """One argument is wrong."""
    sequence_order: Probability = 0.0
    """Two calls are swapped where the order matters."""
    missing: Probability = 0.0
    """One call is missing."""
    redundant: Probability = 0.0
    """The last call is made twice."""
    format: Probability = 0.0
    """Arguments are not JSON."""
    refusal: Probability = 0.0
    """The model refuses to answer."""

    @model_validator(mode="after")
    def _fits_into_one(self) -> CorruptionSettings:
        total = sum(share for _name, share in self)
        if total > 1 + 1e-9:
            raise ValueError(
                f"the shares of all corruptions add up to {total:g}: an answer has at most one corruption, keep them within 1"
            )
        return self


class ScriptSettings(SimulatorSection):
    """Where scripted answers come from: one of the three. What has no entry there is answered as without a script."""

    column: str | None = None
    """A column of the tasks, also by a dotted path: a text, or a list of texts that are the replies of the turns; the last one is
    repeated. In place of a text, a message with `content` and `tool_calls`."""
    file: str | None = None
    """A JSON Lines file, relative to the configuration file, with `id`, a task's id, and `replies`, as in a column."""
    function: str | None = None
    """`module:function` of your own, called with the sample, the messages and the number of the turn; it returns a text or a message, or
    None to answer as without a script."""

    @model_validator(mode="after")
    def _has_one_source(self) -> ScriptSettings:
        if sum(source is not None for source in (self.column, self.file, self.function)) != 1:
            raise ValueError("a script has one source: give column, file or function")
        return self


class AnswerSettings(SimulatorSection):
    """Quality and length of the answers; the AnswerSource applies them."""

    skill: Probability | dict[str, Probability] = 1.0
    """Share of right answers, for all or by model or deployment."""
    spread: NotNegative = 0.0
    """Spread of the tasks' difficulties, in logits."""
    gain: dict[str, float] = Field(default_factory=dict)
    """Effect of a prompt type or a difficulty on the chance of a right answer, in logits: {cot: 0.5, optimal: 1, hard: -1}."""
    output_tokens: Count | None = None
    """Mean length in tokens."""
    template: str = "{target}"
    """The text around the answer: "Answer: {target}"."""
    corruptions: CorruptionSettings = CorruptionSettings()
    """Shares of answers that are spoilt in one way."""
    script: ScriptSettings | None = None
    """Answers of your own, to rehearse a protocol of your own."""

    @model_validator(mode="after")
    def _template_has_a_place(self) -> AnswerSettings:
        if "{target}" not in self.template:
            raise ValueError(f"template {self.template!r} has no {{target}}: the answer would not be in it")
        return self

    def skill_of(self, name: str) -> float:
        """Return the share of right answers of a model or deployment."""
        return self.skill.get(name, 1.0) if isinstance(self.skill, dict) else self.skill
