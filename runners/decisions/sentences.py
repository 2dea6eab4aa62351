"""A sentence for every decision: what was seen, what is concluded, and the limit from now on with its unit.

The words are made of the fields of the decision's line alone, so that a line of an earlier version gets them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from providers.messages import JSON

from .amounts import counted, limits, number, seconds, waits

Line = Mapping[str, JSON]


def sentence(event: str, line: Line) -> str:
    """Say what was decided and why; empty for an event without a sentence, or a line without its fields."""
    try:
        if event in SENTENCES:
            return SENTENCES[event](line)
        return str(line.get("evidence") or line.get("reason") or "")
    except (KeyError, TypeError, ValueError):
        return ""


# ------------------------------------------------------------------ refusals
def _throttle(line: Line) -> str:
    tested, trials = line.get("tested"), line["refused_trials"]
    if tested == "chance":
        seen = "The request that was sent at once was refused as well."
    elif tested == "slot":
        seen = "A request that was sent when another one had ended was refused as well: the number in flight is not what is limited."
    elif trials:
        seen = f"The request that tests whether the limit is over was refused ({counted(trials, 'test')} so far)."
    else:
        beside = counted(line["beside"], "other request")
        seen = (
            f"A request was refused with {beside} in flight, after {_accepted(line['accepted_before'])}{_told(line)}."
        )
    return f"{seen} {_next(line)}"


def _told(line: Line) -> str:
    wait_s = line.get("retry_after_s")
    return "; the server states no wait" if wait_s is None else f"; the server asks to wait {seconds(wait_s)}"


def _accepted(counts: JSON) -> str:
    if not isinstance(counts, Mapping) or not counts:
        raise TypeError(f"{counts!r} are no counts")
    parts = [(span, amounts["requests"]) for span, amounts in counts.items() if isinstance(amounts, Mapping)]
    return " and ".join(f"{number(requests)} accepted in {span}" for span, requests in parts[1:])


def _next(line: Line) -> str:
    tests, wait_s, window_s = line.get("next_test"), seconds(line["wait_s"]), line.get("tested_window_s")
    if tests == "chance":
        return "Perhaps it came by chance: one request is sent at once to see."
    if tests == "slot":
        return f"Perhaps too many were in flight: one request is sent in {wait_s}, when another one has ended."
    limit = f"a limit in {number(window_s)} s" if window_s else "a limit per second"
    return f"It is taken for {limit}. Nothing is sent for {wait_s}, then one request tests it."


def _early(line: Line) -> str:
    if line.get("accepted"):
        told = seconds(line["retry_after_s"])
        return f"A request that was sent before the stated wait of {told} was over was accepted: such waits are longer than needed."
    return f"A request that was sent before the stated wait was over was refused. Nothing is sent for {seconds(line['wait_s'])}."


def _doubt(line: Line) -> str:
    if line["cause"] == "chance":
        return "A request that was sent at once after the refusal was accepted: the refusal says nothing of a limit."
    return "A request that was sent when another one had ended was accepted: the server limits the requests in flight."


def _chance(line: Line) -> str:
    if not line["holds"]:
        return (
            "Refusals are more frequent the more is sent: they do not come by chance, and a limit is looked for again."
        )
    if "slots" in line:
        return (
            "Ever fewer requests in flight were accepted: no fixed number is limited. Refusals are taken to come by chance, "
            "and only the refused request waits."
        )
    share = f"{float(str(line['share'])):.0%}"
    return (
        f"{share} of the latest requests were refused, and requests sent at once afterwards were accepted: refusals come "
        "by chance. Only the refused request waits, and no limit of the rate is set."
    )


# ------------------------------------------------------------------ the rate
def _rate(line: Line) -> str:
    if "refused_at_any_rate" in line:
        limit = limits(line["new"])
        share = f"{float(str(line['refused_at_any_rate'])):.0%}"
        return f"{share} of the requests were refused, and fewer sends did not make it less. The earlier limit holds again: {limit}."
    known, unit = line.get("samples", 1), line.get("counted_in")
    if unit:
        seen = f"The counts at the last {number(known)} refusals fit a limit of {unit} best"
    else:
        seen = "So much was accepted before the refusal; whether requests or tokens are counted is not known yet"
    limit, was = limits(line["new"], unit), _before(line["old"], unit)
    before = "" if limit == was else f" (before: {was})"
    return f"A request was accepted again. {seen}. Limit: {limit}{before}. {_rises(line)}"


def _before(old: JSON, unit: JSON) -> str:
    """Write the earlier limit in the unit that counts, or in those that were known then."""
    if not _is_known(old) or not isinstance(old, Mapping):
        return "none"
    units = str(unit).split(" or ")
    return limits(old, unit if any(old.get(each) is not None for each in units) else None)


def _is_known(values: JSON) -> bool:
    return isinstance(values, Mapping) and any(
        value is not None for name, value in values.items() if name != "window_s"
    )


def _rises(line: Line) -> str:
    return f"More is asked for after {seconds(line['scale_s'])} without a refusal."


def _drop(line: Line) -> str:
    reached = line["reached"]
    if not isinstance(reached, list | tuple):
        raise TypeError(f"{reached!r} are no shares")
    highest = max(float(str(share)) for share in reached)
    return f"A request was refused at {highest:.0%} of the known limit: the limit is lower now, and is learned anew."


def _probe(line: Line) -> str:
    old, new = line["old"], line["new"]
    if isinstance(old, Mapping) and isinstance(new, Mapping) and old.get("window_s") != new.get("window_s"):
        seen = "A request that was sent before the window had room was accepted: the window is shorter than assumed"
    else:
        seen = "A request above the limit was accepted: the limit is higher"
    return f"{seen}. Limit: {limits(new)} (before: {limits(old)})."


def _remembered(line: Line) -> str:
    limit = limits(line["limits"])
    if line["holds"]:
        return f"The limit that an earlier run learned was met and holds: {limit}."
    return f"What is accepted or refused does not fit the limit that an earlier run learned ({limit}): it is forgotten, and learned anew."


def _tilt(line: Line) -> str:
    share, for_s = f"{float(str(line['share'])):.0%}", seconds(line["for_s"])
    return f"Two instances were refused together. This one sends {share} of its known rate for {for_s}: perhaps they share one quota."


# ------------------------------------------------------------------ requests in flight
def _cap(line: Line) -> str:
    old, new = float(str(line["old"])), float(str(line["new"]))
    reason = REASONS[str(line.get("reason", ""))].format(old=number(old), new=number(new))
    return f"{reason} Limit: {counted(new, 'request')} in flight (before: {number(old)}).".lstrip()


REASONS = {
    "start": "All {old} requests in flight were in use and answered, so twice as many are tried.",
    "probe": "Nothing was refused with {old} requests in flight, so more are tried.",
    "try_more": "It is tried whether more requests in flight bring more answers.",
    "try_fewer": "It is tried whether fewer requests in flight bring as many answers.",
    "fewer_cost_answers": "Fewer requests in flight brought fewer answers, so there are as many as before.",
    "more_brought_none": "More requests in flight only made answers slower, so there are as many as before.",
    "rate": "So many are enough for the known limit of the rate.",
    "": "",
}


def _knee(line: Line) -> str:
    slower = float(str(line["rho"])) / float(str(line["best_rho"]))
    new, old = number(line["new"]), number(line["old"])
    return (
        f"More requests in flight brought no more answers: a token takes {slower:.1f} times as long as at best. "
        f"Limit: {new} requests in flight (before: {old}); more are tried from time to time."
    )


def _conc(line: Line) -> str:
    old, every_s = number(line["old"]), line["probe_every_s"]
    again = f"one more is tried in {seconds(every_s)}" if every_s else "one more is tried soon"
    return (
        f"A request was refused with {counted(line['new'], 'other')} in flight: the server limits the requests in flight. "
        f"Limit: {counted(line['new'], 'request')} in flight (before: {old}); {again}."
    )


def _breaker(line: Line) -> str:
    failures, wait_s = number(line["failures"]), seconds(line["wait_s"])
    return f"{failures} requests in a row failed with a server error. Nothing is sent for {wait_s}, then one request tests it."


def _answer_floor_trial(line: Line) -> str:
    few, most = number(line["per_minute"]), number(line["most_per_minute"])
    return (
        f"Only {few} requests per minute were answered, where one at a time could get up to {most}. Requests are sent one "
        "at a time for a while, to see which is more."
    )


# ------------------------------------------------------------------ instances and the run
def _health(line: Line) -> str:
    state = str(line.get("state", ""))
    return f"{state}: {line['evidence']}" if line.get("evidence") else state


def _adapted(line: Line) -> str:
    renamed, dropped = line["renamed"], line["dropped"]
    if not isinstance(renamed, Mapping) or not isinstance(dropped, list | tuple):
        raise TypeError("no adaptation")
    changes = [f"{old} is sent as {new}" for old, new in renamed.items()] + [
        f"{field} is left out" for field in dropped
    ]
    return f"The server refused a field ({line['words']}): {', '.join(changes)}."


def _end(line: Line) -> str:
    cap = f"At the end {counted(line['cap'], 'request')} could be in flight"
    if "sent" not in line:
        return f"{cap}."
    rate = f"Limit: {limits(line['limits'])}" if _is_known(line["limits"]) else "No limit of the rate was found"
    totals = f"{number(line['sent'])} requests were sent, {number(line['throttled'])} were refused"
    return f"{cap}. {rate}. {totals}, {number(line['failed'])} failed.{waits(line.get('time_under', {}))}"


SENTENCES: Mapping[str, Callable[[Line], str]] = {
    "throttle": _throttle,
    "early": _early,
    "doubt": _doubt,
    "chance": _chance,
    "rate": _rate,
    "drop": _drop,
    "probe": _probe,
    "remembered": _remembered,
    "tilt": _tilt,
    "cap": _cap,
    "knee": _knee,
    "conc": _conc,
    "breaker": _breaker,
    "answer_floor_trial": _answer_floor_trial,
    "health": _health,
    "instance_lost": _health,
    "adapted": _adapted,
    "run_stalled": lambda line: (
        f"No sample has ended for {seconds(line['idle_s'])}; `waits` lists what each one waits for."
    ),
    "loop_blocked": lambda line: (
        f"The event loop has been blocked for {seconds(line['blocked_s'])} at {line['at_line']}."
    ),
    "end": _end,
}
"""By event. Other events bring their sentence in `evidence` or `reason`."""
