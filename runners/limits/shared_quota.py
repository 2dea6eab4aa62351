"""Detection of a quota that several limiters of one model share, from their refusals. Pure: every method takes the times.

A refusal with a Retry-After of some seconds opens an *episode*: the time until that wait ends. Limiters whose waits end at the same
moment belong to the same episode. There are two hypotheses: every limiter has its own quota, or all of them share one. The amounts
accepted from each limiter before its refusal decide:

- Own quotas: each amount is the quota, equal in every episode, and the other limiters continue until they reach theirs.
- One quota: the sum is the quota, each part is far below it, and no request is accepted after the first refusal.

One episode is enough only if the server states the limit and that it counts by model. If it states only the limit, two episodes are
needed; if it states nothing, three: the sum must then be equal each time while the parts vary. Limiters whose parts never vary are kept
apart, which costs nothing: each is as fast with its part. To test them, two limiters that were refused together are asked to tilt for
one window: one sends less, the other more. With own quotas only the second one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .stated import UNSTATED, QuotaUnit, StatedQuota

AcceptedBetween = Callable[[float, float], Sequence[float]]
"""Returns what was accepted after one time and until another, at most a minute ago: requests, then tokens in several ways of counting."""

SHORTEST_WAIT_S = 2.0
"""Shortest wait that is considered: shorter waits end together by chance."""
SAME_END_S, SAME_END_ROUNDED_S = 0.3, 1.2
"""How far apart two waits may end: by network latency; by rounding up to whole seconds."""
MINUTE_S = 60.0
OWN_SHARE, OWN_EXCESS = 0.75, 1.3
"""Shares of the stated limit: an own quota explains a count between them."""
SUM_SHARE, SUM_EXCESS = 0.85, 1.2
"""Shares of the stated limit: one quota explains a sum between them. Tokens are estimated until the answer arrives."""
SAME_SUM = 0.04
VARIED = 0.2
"""Spread over the episodes, as a share of the largest value: at most of the sum, at least of the parts."""
BESIDE_REQUESTS, BESIDE_SHARE = 2.0, 0.03
"""Requests that may be accepted from one limiter after another was refused: they arrived earlier, or were smaller."""
APART_REQUESTS = 3.0
EPISODES_BY_MODEL, EPISODES_STATED, EPISODES_UNSTATED = 1, 2, 3
KEPT = 6
LESS, MORE = 0.7, 1.6
"""Shares of their known limits that two limiters ask for during a tilt: their sum is not lower than before."""
DOUBTS = 2
"""Episodes with equal parts after which a tilt is requested."""
MOST_TRIES = 2
"""Highest number of tilts."""


@dataclass(frozen=True, slots=True)
class JointRefusal:
    """One refusal of one limiter, and a function that returns what was accepted from it."""

    limiter: str
    sent_at: float
    now: float
    wait_s: float | None
    accepted: AcceptedBetween
    stated: StatedQuota = UNSTATED

    @property
    def ends_at(self) -> float:
        """When its wait ends."""
        return self.now + (self.wait_s or 0.0)

    @property
    def end_tolerance_s(self) -> float:
        """The largest difference to the end of another wait that counts as equal."""
        return SAME_END_ROUNDED_S if (self.wait_s or 0.0).is_integer() else SAME_END_S

    @property
    def window_s(self) -> float:
        """The stated window, at most a minute; a minute if none is stated."""
        return min(MINUTE_S, self.stated.window_s or MINUTE_S)


@dataclass(frozen=True, slots=True)
class Part:
    """What was accepted from one limiter before its refusal, in each unit: in the server's window, and in a full window before the send."""

    counts: tuple[float, ...]
    units: int
    stated: StatedQuota
    is_group: bool = False
    """Whether it belongs to a limiter that has absorbed others."""

    def of(self, unit: QuotaUnit | None) -> list[int]:
        """Return the indices into `counts` of this unit; of all units for None."""
        indices = range(len(self.counts))
        if unit is None:
            return list(indices)
        return [index for index in indices if (index % self.units == 0) == (unit == "requests")]


@dataclass(frozen=True, slots=True)
class SharedQuota:
    """A quota that several limiters share, and the evidence for it."""

    limiters: tuple[str, ...]
    episodes: int
    parts: tuple[float, ...]
    """Amounts accepted from each limiter at the last refusal, in the unit that explains it best."""
    unit: QuotaUnit
    limit: float
    """The stated limit, or the sum of the parts."""
    window_s: float
    is_stated: bool


@dataclass(frozen=True, slots=True)
class Tilt:
    """A request to the limiters to ask for shares of their known limits until a time."""

    shares: tuple[tuple[str, float], ...]
    until: float


@dataclass(slots=True)
class JointEpisode:
    """An episode of several limiters: from the first refusal to the moment at which the waits end."""

    onset: float
    ends_at: float
    window_s: float
    parts: dict[str, Part] = field(default_factory=dict)
    is_tilted: bool = False
    """Whether a tilt was requested after it."""


class SharedQuotaDetector:
    """The detector for the limiters of one model at one endpoint.

    `trusts_words` means that the name of a stated quota is evidence: the deployments differ and the account is the same.
    """

    def __init__(self, *, trusts_words: bool = True) -> None:
        self._trusts_words = trusts_words
        self._episodes: list[JointEpisode] = []
        """The last episodes, oldest first; only the latest may still be open."""
        self._tries = 0
        self._sources: dict[str, AcceptedBetween] = {}

    def refused(self, refusal: JointRefusal) -> SharedQuota | None:
        """Learn from a refusal; return a shared quota if the refusal proves one."""
        self._sources[refusal.limiter] = refusal.accepted
        if refusal.wait_s is None or refusal.wait_s < SHORTEST_WAIT_S:
            return None
        episode = self._episode_of(refusal)
        if refusal.limiter in episode.parts or not _is_together(refusal, episode):
            return None
        episode.parts[refusal.limiter] = _part(refusal)
        silent = self._silent(episode, refusal)
        quota = self._judge(episode, {**episode.parts, **silent}) if silent else None
        return quota or self._judge(episode, episode.parts)

    def refused_together(self, limiter: str) -> list[str]:
        """Return the limiters of the latest episode if it has several, `limiter` among them."""
        names = list(self._episodes[-1].parts) if self._episodes else []
        return names if limiter in names and len(names) > 1 else []

    def tilt(self) -> Tilt | None:
        """Return the tilt that would tell one quota from several if the last refusals do not; at most MOST_TRIES times."""
        if self._tries >= MOST_TRIES or len(self._episodes) < DOUBTS:
            return None
        latest = self._episodes[-1]
        if latest.is_tilted:
            return None
        names = [name for name, part in latest.parts.items() if not part.is_group and part.stated.limit is None]
        joint = [episode for episode in self._episodes if set(names) <= set(episode.parts)][-DOUBTS:]
        if len(names) < 2 or len(joint) < DOUBTS or any(_has_varied(joint, name, 0) for name in names):
            return None
        self._tries += 1
        latest.is_tilted = True
        return Tilt(((names[0], LESS), (names[1], MORE)), latest.ends_at + latest.window_s)

    def merge(self, limiters: Iterable[str], into: str) -> None:
        """Treat `limiters` as one limiter named `into` from now on."""
        members = set(limiters)
        for episode in self._episodes:
            joined = {name: episode.parts.pop(name) for name in members & set(episode.parts)}
            if set(joined) == members:
                episode.parts[into] = _joined(list(joined.values()))
        for name in members - {into}:
            self._sources.pop(name, None)

    # ------------------------------------------------------------------ episodes
    def _episode_of(self, refusal: JointRefusal) -> JointEpisode:
        for episode in reversed(self._episodes):
            if abs(refusal.ends_at - episode.ends_at) <= refusal.end_tolerance_s:
                return episode
        self._forget_who_was_accepted(refusal.now)
        active = JointEpisode(refusal.sent_at, refusal.ends_at, refusal.window_s)
        self._episodes = [*self._episodes, active][-KEPT:]
        return active

    def _forget_who_was_accepted(self, now: float) -> None:
        """Remove limiters from the episodes if their requests were accepted while another one waited: they do not share its quota."""
        if not self._episodes:
            return
        last = self._episodes[-1]
        for name, accepted in self._sources.items():
            until = min(now, last.ends_at - SAME_END_ROUNDED_S)
            if name not in last.parts and accepted(last.onset + SAME_END_ROUNDED_S, until)[0] >= APART_REQUESTS:
                for episode in self._episodes:
                    episode.parts.pop(name, None)

    # ------------------------------------------------------------------ judgement
    def _silent(self, latest: JointEpisode, refusal: JointRefusal) -> dict[str, Part]:
        """Return the limiters that may belong to the episode: refused together with others before, and nothing accepted since it began."""
        known = {name for episode in self._episodes if len(episode.parts) > 1 for name in episode.parts}
        return {
            name: _part(replace(refusal, limiter=name, accepted=accepted))
            for name, accepted in self._sources.items()
            if name in known - set(latest.parts) and accepted(latest.onset, refusal.now)[0] <= BESIDE_REQUESTS
        }

    def _judge(self, latest: JointEpisode, parts: Mapping[str, Part]) -> SharedQuota | None:
        names = tuple(parts)
        if len(latest.parts) < 2:
            return None
        earlier = [episode for episode in self._episodes if episode is not latest and set(names) <= set(episode.parts)]
        joint = [replace(episode, parts={name: episode.parts[name] for name in names}) for episode in earlier]
        joint.append(replace(latest, parts=dict(parts)))
        return self._judge_stated(names, joint) or _judge_unstated(names, joint)

    def _judge_stated(self, names: tuple[str, ...], joint: list[JointEpisode]) -> SharedQuota | None:
        first, *others = joint[-1].parts.values()
        stated = first.stated
        if stated.limit is None or any(part.stated != stated for part in others):
            return None
        by_model = self._trusts_words and stated.counts_by_model
        needed = EPISODES_BY_MODEL if by_model else EPISODES_STATED
        if len(joint) < needed:
            return None
        indices = [_shared_index(list(episode.parts.values()), stated.limit) for episode in joint[-needed:]]
        if any(index is None for index in indices) or indices[-1] is None:
            return None
        return _shared_quota(names, joint, indices[-1], stated)


def _is_together(refusal: JointRefusal, episode: JointEpisode) -> bool:
    """Return whether almost nothing was accepted from the limiter since another one was refused."""
    if not episode.parts:
        return True
    since = refusal.accepted(episode.onset, refusal.sent_at)[0]
    before = refusal.accepted(refusal.sent_at - refusal.window_s, refusal.sent_at)[0]
    return since <= max(BESIDE_REQUESTS, BESIDE_SHARE * before)


def _part(refusal: JointRefusal) -> Part:
    window_s, sent_at = refusal.window_s, refusal.sent_at
    in_window = refusal.accepted(max(refusal.ends_at - window_s, sent_at - window_s), sent_at)
    lately = refusal.accepted(sent_at - window_s, sent_at)
    return Part((*in_window, *lately), len(lately), refusal.stated)


def _joined(parts: Sequence[Part]) -> Part:
    return replace(parts[0], counts=_sums(parts), is_group=True)


def _sums(parts: Sequence[Part]) -> tuple[float, ...]:
    return tuple(map(sum, zip(*(part.counts for part in parts), strict=True)))


def _shared_index(parts: Sequence[Part], limit: float) -> int | None:
    """Return the index of the count whose sum is the limit while every part is far below it; None if own limits explain the refusals."""
    indices = parts[0].of(parts[0].stated.unit)
    alone = [part.counts for part in parts if not part.is_group]
    if any(all(OWN_SHARE * limit < counts[index] <= OWN_EXCESS * limit for counts in alone) for index in indices):
        return None
    sums = _sums(parts)
    fitting = [
        index
        for index in indices
        if SUM_SHARE * limit <= sums[index] <= SUM_EXCESS * limit
        and all(counts[index] <= OWN_SHARE * limit for counts in alone)
    ]
    return min(fitting, key=lambda index: abs(sums[index] - limit), default=None)


def _judge_unstated(names: tuple[str, ...], joint: list[JointEpisode]) -> SharedQuota | None:
    """Return a shared quota if the sum is equal each time although the parts vary in every unit."""
    episodes = joint[-EPISODES_UNSTATED:]
    if len(episodes) < EPISODES_UNSTATED:
        return None
    varied = [name for name in names if all(_has_varied(episodes, name, index) for index in _indices(episodes))]
    if len(varied) < min(2, sum(not part.is_group for part in episodes[-1].parts.values())):
        return None
    sums = [_sums(list(episode.parts.values())) for episode in episodes]
    spreads = {index: _spread([counts[index] for counts in sums]) for index in _indices(episodes)}
    index = min(spreads, key=lambda index: spreads[index])
    return _shared_quota(names, joint, index, None) if spreads[index] <= SAME_SUM else None


def _indices(episodes: Sequence[JointEpisode]) -> range:
    return range(min(len(part.counts) for episode in episodes for part in episode.parts.values()))


def _has_varied(episodes: Sequence[JointEpisode], name: str, index: int) -> bool:
    return _spread([episode.parts[name].counts[index] for episode in episodes]) >= VARIED


def _spread(values: Sequence[float]) -> float:
    """Return the range as a share of the largest value; 0 if nothing was counted."""
    return 1 - min(values) / max(values) if max(values) > 0 else 0.0


def _shared_quota(
    names: tuple[str, ...], joint: list[JointEpisode], index: int, stated: StatedQuota | None
) -> SharedQuota:
    latest = joint[-1]
    parts = tuple(latest.parts[name].counts[index] for name in names)
    limit = stated.limit if stated is not None else None
    is_requests = index % next(iter(latest.parts.values())).units == 0
    return SharedQuota(
        limiters=names,
        episodes=len(joint),
        parts=parts,
        unit="requests" if is_requests else "tokens",
        limit=sum(parts) if limit is None else limit,
        window_s=latest.window_s,
        is_stated=limit is not None,
    )
