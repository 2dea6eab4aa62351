"""Which limiters of one model stand before one quota: read off the refusals alone, pure, with every time given.

A refusal that names a wait of some seconds opens an *episode*: the time until that wait ends. Limiters that are refused with waits
that end at the same moment belong to the same episode. Two hypotheses explain it: every limiter met a quota of its own, or all of
them met one quota together. What had been accepted from each at its refusal decides:

- Own quotas: each count is the quota, the same in every episode, and the others go on sending until they reach theirs.
- One quota: the sum is the quota, each part is far below it, and nobody is accepted any more once the first one was refused.

One episode is enough only where the server's words state the limit and say that it counts by model. Where they state the limit alone
it takes two episodes, and three without a word: then the sum must be the same each time while the parts vary. Quotas whose parts
never vary are left apart, which costs nothing: each limiter is as fast with its part. To find out, two limiters that were refused
together alike are asked to tilt for one window: one sends less, the other more. A quota of its own refuses the other one alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .stated import UNSTATED, QuotaUnit, StatedQuota

AcceptedBetween = Callable[[float, float], Sequence[float]]
"""What was accepted after one time and until another, a minute ago at most: requests first, then tokens in the ways that servers count."""

SHORTEST_WAIT_S = 2.0
"""Shorter waits end together by chance."""
SAME_END_S, SAME_END_ROUNDED_S = 0.3, 1.2
"""How far apart two waits may end: by the way from the server; by rounding up to whole seconds."""
MINUTE_S = 60.0
OWN_SHARE, OWN_EXCESS = 0.75, 1.3
"""Of the stated limit: a count between these is explained by a quota of its own."""
SUM_SHARE, SUM_EXCESS = 0.85, 1.2
"""Of the stated limit: a sum between these is explained by one quota. Tokens are estimated until the answer is there."""
SAME_SUM = 0.04
VARIED = 0.2
"""Spread over the episodes, as a share of the largest: of the sum at most, of the parts at least."""
BESIDE_REQUESTS, BESIDE_SHARE = 2.0, 0.03
"""Requests that may be accepted from one limiter after another was refused: they overtook it, or were smaller."""
APART_REQUESTS = 3.0
EPISODES_BY_MODEL, EPISODES_STATED, EPISODES_UNSTATED = 1, 2, 3
KEPT = 6
LESS, MORE = 0.7, 1.6
"""Of what a limiter has learnt, that two of them ask for in a window: their sum is no less than before."""
DOUBTS = 2
"""Episodes alike after which two limiters are asked to try ..."""
MOST_TRIES = 2
"""... so many times."""


@dataclass(frozen=True, slots=True)
class QuotaRefusal:
    """One refusal of one limiter, with what had been accepted from it before."""

    limiter: str
    sent_at: float
    now: float
    wait_s: float | None
    accepted: AcceptedBetween
    stated: StatedQuota = UNSTATED

    @property
    def ends_at(self) -> float:
        return self.now + (self.wait_s or 0.0)

    @property
    def end_tolerance_s(self) -> float:
        return SAME_END_ROUNDED_S if (self.wait_s or 0.0).is_integer() else SAME_END_S

    @property
    def window_s(self) -> float:
        return min(MINUTE_S, self.stated.window_s or MINUTE_S)


@dataclass(frozen=True, slots=True)
class Part:
    """What one limiter had been let send when it was refused: each unit, over the server's window and over as long before the send."""

    counts: tuple[float, ...]
    units: int
    stated: StatedQuota
    is_group: bool = False
    """It stands for limiters that were found to share before."""

    def of(self, unit: QuotaUnit | None) -> list[int]:
        """The places that may be what the server counts."""
        places = range(len(self.counts))
        if unit is None:
            return list(places)
        return [place for place in places if (place % self.units == 0) == (unit == "requests")]


@dataclass(frozen=True, slots=True)
class SharedQuota:
    """Several limiters that share one quota, and why that is certain."""

    limiters: tuple[str, ...]
    episodes: int
    parts: tuple[float, ...]
    """Accepted from each at the last refusal, in the unit that explains it best."""
    unit: QuotaUnit
    limit: float
    """As stated, or the sum of the parts."""
    window_s: float
    is_stated: bool


@dataclass(frozen=True, slots=True)
class Tilt:
    """Who is to ask for which share of what it has learnt, and until when."""

    shares: tuple[tuple[str, float], ...]
    until: float


@dataclass(slots=True)
class JointEpisode:
    """From the first refusal until the moment at which the waits end."""

    onset: float
    ends_at: float
    window_s: float
    parts: dict[str, Part] = field(default_factory=dict)
    is_tilted: bool = False
    """It was doubtful, and a tilt is to tell."""


class SharedQuotaDetector:
    """Of the limiters of one model at one endpoint. `trusts_words`: their deployments differ and their account does not."""

    def __init__(self, *, trusts_words: bool = True) -> None:
        self._trusts_words = trusts_words
        self._episodes: list[JointEpisode] = []
        """The last ones, oldest first; only the latest may still be open."""
        self._tries = 0
        self._sources: dict[str, AcceptedBetween] = {}

    def refused(self, refusal: QuotaRefusal) -> SharedQuota | None:
        """Learn from a refusal; the group that it proves, once."""
        self._sources[refusal.limiter] = refusal.accepted
        if refusal.wait_s is None or refusal.wait_s < SHORTEST_WAIT_S:
            return None
        episode = self._episode_of(refusal)
        if refusal.limiter in episode.parts or not _is_together(refusal, episode):
            return None
        episode.parts[refusal.limiter] = _part(refusal)
        silent = self._silent(episode, refusal)
        found = self._judge(episode, {**episode.parts, **silent}) if silent else None
        return found or self._judge(episode, episode.parts)

    def tilt(self) -> Tilt | None:
        """What would tell one quota from several, where the last refusals do not."""
        if self._tries >= MOST_TRIES or len(self._episodes) < DOUBTS:
            return None
        latest = self._episodes[-1]
        if latest.is_tilted:
            return None
        names = [name for name, part in latest.parts.items() if not part.is_group and part.stated.limit is None]
        seen = [episode for episode in self._episodes if set(names) <= set(episode.parts)][-DOUBTS:]
        if len(names) < 2 or len(seen) < DOUBTS or any(_has_varied(seen, name, 0) for name in names):
            return None
        self._tries += 1
        latest.is_tilted = True
        return Tilt(((names[0], LESS), (names[1], MORE)), latest.ends_at + latest.window_s)

    def merge(self, limiters: Iterable[str], into: str) -> None:
        """From now on `limiters` are one, which is called `into`."""
        members = set(limiters)
        for episode in self._episodes:
            joined = {name: episode.parts.pop(name) for name in members & set(episode.parts)}
            if set(joined) == members:
                episode.parts[into] = _joined(list(joined.values()))
        for name in members - {into}:
            self._sources.pop(name, None)

    # ------------------------------------------------------------------ episodes
    def _episode_of(self, refusal: QuotaRefusal) -> JointEpisode:
        for episode in reversed(self._episodes):
            if abs(refusal.ends_at - episode.ends_at) <= refusal.end_tolerance_s:
                return episode
        self._forget_who_was_accepted(refusal.now)
        active = JointEpisode(refusal.sent_at, refusal.ends_at, refusal.window_s)
        self._episodes = [*self._episodes, active][-KEPT:]
        return active

    def _forget_who_was_accepted(self, now: float) -> None:
        """A limiter that was let send while another waited does not share with it: what they had in common was chance."""
        if not self._episodes:
            return
        last = self._episodes[-1]
        for name, accepted in self._sources.items():
            until = min(now, last.ends_at - SAME_END_ROUNDED_S)
            if name not in last.parts and accepted(last.onset + SAME_END_ROUNDED_S, until)[0] >= APART_REQUESTS:
                for episode in self._episodes:
                    episode.parts.pop(name, None)

    # ------------------------------------------------------------------ judgement
    def _silent(self, latest: JointEpisode, refusal: QuotaRefusal) -> dict[str, Part]:
        """Who was refused together with others before, and was let send nothing since this episode began: they may be of it."""
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
        earlier = [one for one in self._episodes if one is not latest and set(names) <= set(one.parts)]
        joint = [replace(one, parts={name: one.parts[name] for name in names}) for one in earlier]
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
        places = [_shared_place(list(episode.parts.values()), stated.limit) for episode in joint[-needed:]]
        if any(place is None for place in places) or places[-1] is None:
            return None
        return _found(names, joint, places[-1], stated)


def _is_together(refusal: QuotaRefusal, episode: JointEpisode) -> bool:
    """Hardly anything was accepted from it since another one was refused."""
    if not episode.parts:
        return True
    since = refusal.accepted(episode.onset, refusal.sent_at)[0]
    before = refusal.accepted(refusal.sent_at - refusal.window_s, refusal.sent_at)[0]
    return since <= max(BESIDE_REQUESTS, BESIDE_SHARE * before)


def _part(refusal: QuotaRefusal) -> Part:
    window_s, sent_at = refusal.window_s, refusal.sent_at
    in_window = refusal.accepted(max(refusal.ends_at - window_s, sent_at - window_s), sent_at)
    lately = refusal.accepted(sent_at - window_s, sent_at)
    return Part((*in_window, *lately), len(lately), refusal.stated)


def _joined(parts: Sequence[Part]) -> Part:
    return replace(parts[0], counts=_sums(parts), is_group=True)


def _sums(parts: Sequence[Part]) -> tuple[float, ...]:
    return tuple(map(sum, zip(*(part.counts for part in parts), strict=True)))


def _shared_place(parts: Sequence[Part], limit: float) -> int | None:
    """Where the sum is the limit and every part is far below; None where all may have met limits of their own, counted otherwise."""
    places = parts[0].of(parts[0].stated.unit)
    alone = [part.counts for part in parts if not part.is_group]
    if any(all(OWN_SHARE * limit < counts[place] <= OWN_EXCESS * limit for counts in alone) for place in places):
        return None
    sums = _sums(parts)
    fitting = [
        place
        for place in places
        if SUM_SHARE * limit <= sums[place] <= SUM_EXCESS * limit
        and all(counts[place] <= OWN_SHARE * limit for counts in alone)
    ]
    return min(fitting, key=lambda place: abs(sums[place] - limit), default=None)


def _judge_unstated(names: tuple[str, ...], joint: list[JointEpisode]) -> SharedQuota | None:
    """The sum is the same each time, though the parts vary in every unit."""
    seen = joint[-EPISODES_UNSTATED:]
    if len(seen) < EPISODES_UNSTATED:
        return None
    varied = [name for name in names if all(_has_varied(seen, name, place) for place in _places(seen))]
    if len(varied) < min(2, sum(not part.is_group for part in seen[-1].parts.values())):
        return None
    sums = [_sums(list(episode.parts.values())) for episode in seen]
    spreads = {place: _spread([counts[place] for counts in sums]) for place in _places(seen)}
    place = min(spreads, key=lambda place: spreads[place])
    return _found(names, joint, place, None) if spreads[place] <= SAME_SUM else None


def _places(seen: Sequence[JointEpisode]) -> range:
    return range(min(len(part.counts) for episode in seen for part in episode.parts.values()))


def _has_varied(seen: Sequence[JointEpisode], name: str, place: int) -> bool:
    return _spread([episode.parts[name].counts[place] for episode in seen]) >= VARIED


def _spread(values: Sequence[float]) -> float:
    """As a share of the largest; where nothing was counted nothing varies."""
    return 1 - min(values) / max(values) if max(values) > 0 else 0.0


def _found(names: tuple[str, ...], joint: list[JointEpisode], place: int, stated: StatedQuota | None) -> SharedQuota:
    latest = joint[-1]
    parts = tuple(latest.parts[name].counts[place] for name in names)
    limit = stated.limit if stated is not None else None
    is_requests = place % next(iter(latest.parts.values())).units == 0
    return SharedQuota(
        limiters=names,
        episodes=len(joint),
        parts=parts,
        unit="requests" if is_requests else "tokens",
        limit=sum(parts) if limit is None else limit,
        window_s=latest.window_s,
        is_stated=limit is not None,
    )
