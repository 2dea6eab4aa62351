"""Is the same model behind every instance? The same canary tasks are asked everywhere and the answers laid side by side.

Pooling the samples of several deployments under one model's name rests on this: a deployment that was upgraded, or that points
elsewhere, would otherwise hide in a mean.
"""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from providers.errors import ProviderError, TimedOut
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Usage
from providers.provider import Sender
from runners.calls.budget import LimitReached
from sharding.sweep import Sweep

from ...config.loading import LoadedConfig
from ...results.stats.fisher import fisher_more

PATIENCE_S = 120.0
NO_USAGE = Usage(0, 0)
SIGNIFICANT = 0.015
"""The significance level for a drift, divided among all instances of a model."""
SLOWER = 3.0
"""Multiple of the median latency of the model's instances from which an instance is reported as slow."""


@dataclass(frozen=True, slots=True)
class DriftReply:
    """One canary's answer; its text is None if the request failed."""

    text: str | None
    model: str | None = None
    """The model name in the answer; "" if it only repeats the requested name."""
    fingerprint: str = ""
    latency_s: float | None = None
    usage: Usage = NO_USAGE
    error: str = ""
    """Why there is no answer."""


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """One instance compared with the others of its model."""

    instance: str
    model: str
    answered: int
    disagreements: int
    """Canaries whose answer differs from that of most instances."""
    latency_s: float | None
    drifts: tuple[str, ...]
    """Reasons why its samples should not be pooled with the others'."""
    notes: tuple[str, ...]
    """Differences that do not prove another model."""
    usage: Usage = NO_USAGE
    """Tokens that the canaries used."""
    unanswered: str = ""
    """How many canaries it answered, and why not the others; empty if it answered all."""

    @property
    def sentence(self) -> str:
        """The finding as a sentence for the user."""
        return f"{self.instance} may not be the model that the other instances of {self.model} are: {'; '.join(self.drifts)}"


@dataclass(frozen=True, slots=True)
class DriftTargets:
    """The instances that canaries are sent to, and their senders."""

    instances: Mapping[str, Sequence[Instance]]
    """By model."""
    senders: Mapping[str, Sender]
    """By provider."""


async def ask_canaries(loaded: LoadedConfig, sweep: Sweep, asked: DriftTargets, canaries: int) -> list[DriftFinding]:
    """Send the first tasks of the sweep to every instance of every model that has several."""
    findings = []
    for model, instances in asked.instances.items():
        if len(instances) > 1:
            requests = _requests(loaded, sweep, model, canaries)
            findings += find_drift(model, await _ask_everywhere(instances, asked.senders, requests))
    return findings


def _requests(loaded: LoadedConfig, sweep: Sweep, model: str, canaries: int) -> dict[str, ChatRequest]:
    """Build requests of the model's first samples of different tasks, by request id.

    They use the run's generation settings, because some models refuse a temperature.
    """
    generation = replace(loaded.config.generation_of(model).as_generation(), stream=False)
    requests, tasks = dict[str, ChatRequest](), set[str]()
    for ordinal in range(len(sweep)):
        sample = sweep.sample(ordinal)
        if sample.cell.model != model or sample.task.task_id in tasks:
            continue
        tasks.add(sample.task.task_id)
        requests[f"{sample.sample_id}/1/1"] = ChatRequest(sample.task.messages, sample.task.tools, generation)
        if len(requests) == canaries:
            break
    return requests


async def _ask_everywhere(
    instances: Sequence[Instance], senders: Mapping[str, Sender], requests: Mapping[str, ChatRequest]
) -> dict[str, list[DriftReply]]:
    """Ask all instances concurrently, and each its canaries one after another: this measures answers, not load."""
    names = frozenset(name.casefold() for instance in instances for name in (instance.model, instance.deployment))
    async with asyncio.TaskGroup() as group:
        running = {
            instance.name: group.create_task(_ask(instance, senders[instance.provider], requests))
            for instance in instances
        }
    return {name: [_unless_asked_for(reply, names) for reply in task.result()] for name, task in running.items()}


async def _ask(instance: Instance, sender: Sender, requests: Mapping[str, ChatRequest]) -> list[DriftReply]:
    """Ask one instance its canaries. After the first timeout or a reached limit, nothing more is sent."""
    loop, replies, reason = asyncio.get_running_loop(), list[DriftReply](), ""
    for request_id, request in requests.items():
        since = loop.time()
        try:
            response = await sender.complete(instance, request, request_id=request_id, deadline=since + PATIENCE_S)
        except (TimedOut, LimitReached) as error:
            reason = str(error)
            break
        except ProviderError as error:
            replies.append(DriftReply(None, error=str(error)))
        else:
            replies.append(_reply(response, loop.time() - since))
    return replies + [DriftReply(None, error=reason)] * (len(requests) - len(replies))


def _reply(response: ChatResponse, latency_s: float) -> DriftReply:
    calls = "".join(str(call) for call in response.tool_calls)
    text = " ".join(f"{response.text} {calls}".split()).casefold()
    fingerprint = response.system_fingerprint or ""
    return DriftReply(text, response.response_model or None, fingerprint, latency_s, response.usage)


def _unless_asked_for(reply: DriftReply, names: frozenset[str]) -> DriftReply:
    """Remove a model name that only repeats the requested one: many servers echo it, and deployments have different names."""
    return replace(reply, model="") if reply.model and reply.model.casefold() in names else reply


def find_drift(model: str, replies: Mapping[str, Sequence[DriftReply]]) -> list[DriftFinding]:
    """Compare the instances of one model; pure. `replies` hold the same canaries in the same order for every instance."""
    usual = [
        _most_said([own[i].text for own in replies.values()]) for i in range(len(next(iter(replies.values()), ())))
    ]
    counts = {name: _disagreements(own, usual) for name, own in replies.items()}
    named = {
        name: _most_said([reply.model for reply in own if reply.text is not None]) for name, own in replies.items()
    }
    prints = {name: _most_said([r.fingerprint for r in own if r.text is not None]) for name, own in replies.items()}
    latencies = {name: _median([r.latency_s for r in own if r.latency_s is not None]) for name, own in replies.items()}
    return [
        DriftFinding(
            name,
            model,
            counts[name][1],
            counts[name][0],
            latencies[name],
            (*_other_model(name, named), *_other_answers(name, counts)),
            (*_other_print(name, prints), *_slower(name, latencies)),
            _added(reply.usage for reply in replies[name]),
            _unanswered(replies[name]),
        )
        for name in replies
    ]


def _unanswered(replies: Sequence[DriftReply]) -> str:
    silent = [reply.error for reply in replies if reply.text is None]
    return f"answered {len(replies) - len(silent)} of {len(replies)}: {silent[-1]}" if silent else ""


def _disagreements(replies: Sequence[DriftReply], usual: Sequence[str | None]) -> tuple[int, int]:
    answered = [(reply.text, most) for reply, most in zip(replies, usual, strict=True) if reply.text is not None]
    return sum(text != most for text, most in answered), len(answered)


def _other_answers(name: str, counts: Mapping[str, tuple[int, int]]) -> list[str]:
    """Compare the disagreements of an instance with those of the others by Fisher's exact test, one-sided."""
    differ, answered = counts[name]
    others = [count for other, count in counts.items() if other != name]
    p_value = fisher_more(differ, answered, sum(count[0] for count in others), sum(count[1] for count in others))
    if p_value >= SIGNIFICANT / len(counts):
        return []
    return [f"{differ} of {answered} answers differ from the other instances' (p = {p_value:.2g})"]


def _other_model(name: str, named: Mapping[str, str | None]) -> list[str]:
    usual = _most_said(list(named.values()))
    if not named[name] or named[name] == usual:
        return []
    return [f"its answers name the model {named[name]!r}, the others' {repr(usual) if usual else 'the one asked for'}"]


def _other_print(name: str, prints: Mapping[str, str | None]) -> list[str]:
    usual = _most_said(list(prints.values()))
    return (
        []
        if prints[name] in {usual, None}
        else [f"system fingerprint {prints[name] or 'none'}, elsewhere {usual or 'none'}"]
    )


def _slower(name: str, latencies: Mapping[str, float | None]) -> list[str]:
    own, usual = latencies[name], _median([latency_s for latency_s in latencies.values() if latency_s is not None])
    if own is None or usual is None or own < SLOWER * usual:
        return []
    return [f"{own / usual:.1f} times as slow as is usual"]


def _added(usages: Iterable[Usage]) -> Usage:
    added = list(usages)
    return Usage(sum(usage.input_tokens for usage in added), sum(usage.output_tokens for usage in added))


def _most_said(values: Sequence[str | None]) -> str | None:
    """Return the most common of the values that are not None; the first of equally common ones."""
    counted = Counter(value for value in values if value is not None)
    return counted.most_common(1)[0][0] if counted else None


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
