"""How a setting is named outside the file. Fields carry these beside their type: `Annotated[int, Flag("--epochs")]`."""

from __future__ import annotations

from dataclasses import dataclass

from providers.messages import JSON


@dataclass(frozen=True, slots=True)
class Flag:
    """The flag of a setting. Its type and its help come from the field: the help is the first sentence of the docstring."""

    name: str
    """With its dashes."""
    short: str | None = None
    metavar: str | None = None
    """What stands for the value in the help; None: the type's own word."""
    sets: JSON = None
    """What a flag without a value sets; None: the flag takes a value, or it turns a yes into a no or a no into a yes."""
    is_optional: str | None = None
    """The value of the flag where none is given: `--cache` is `--cache=on`."""
    is_repeatable: bool = False
    is_path: bool = False
    is_resumable: bool = True
    """Whether `resume` knows the flag, too."""
    help: str | None = None
    """Set only if the flag's meaning differs from its setting's, as for --no-stagger."""

    @property
    def parameter(self) -> str:
        """The name of the command's parameter."""
        return self.name.removeprefix("--").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Variable:
    """A short environment variable of a setting, beside its long one (`ORCHESTRATOR_RUN__RATE_MODE`)."""

    name: str
