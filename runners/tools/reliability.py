"""How the chance that a tool call succeeds follows from the calls before it: missing dependencies and failures lower it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from providers.messages import JSON


@dataclass(frozen=True, slots=True)
class Reliability:
    """The rule for the success rate of a call. The default changes nothing."""

    missing_dependency: float = 1.0
    """Factor for every tool that this tool depends on and that has not succeeded in the sample."""
    after_failures: Sequence[float] = ()
    """Factors after one, two, … failed calls in a row; the last one counts for more."""
    least: float = 0.0
    """Lowest rate."""
    most: float = 1.0
    """Highest rate."""

    def rate_of(self, base: float, missing: int, failures: int) -> float:
        """Compute the success rate of a call from the cell's rate and the calls before it."""
        rate = base * self.missing_dependency**missing
        if failures and self.after_failures:
            rate *= self.after_failures[min(failures, len(self.after_failures)) - 1]
        return min(max(rate, self.least), self.most)


STEADY = Reliability()


@dataclass(slots=True)
class CallHistory:
    """The calls of a sample that reached a tool."""

    dependencies: Mapping[str, Sequence[str]]
    """By tool, the tools that it depends on."""
    succeeded: set[str] = field(default_factory=set)
    failures_in_a_row: int = 0

    def missing(self, tool: str) -> int:
        """Count the dependencies of a tool that have not succeeded."""
        return sum(name not in self.succeeded for name in self.dependencies.get(tool, ()))

    def add(self, tool: str, *, has_failed: bool) -> None:
        """Note the end of a call."""
        self.failures_in_a_row = self.failures_in_a_row + 1 if has_failed else 0
        if not has_failed:
            self.succeeded.add(tool)


def declared_dependencies(metadata: Mapping[str, JSON] | None) -> Mapping[str, Sequence[str]]:
    """Read `metadata.tool_dependencies`, a list of tools by tool; entries of another form are ignored, as metadata is free-form."""
    declared = (metadata or {}).get("tool_dependencies")
    entries = declared.items() if isinstance(declared, Mapping) else ()
    return {name: [str(tool) for tool in tools] for name, tools in entries if isinstance(tools, list | tuple)}
