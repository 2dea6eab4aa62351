"""Whether a docstring begins with a verb in the imperative, decided by its first two words.

No list of verbs: a first word counts unless it is on a stop list, has an ending that imperatives don't have, or is followed by a word that
follows nouns ("Share of", "Instance that"). Properties are nouns and count apart.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from benchmarks.structure_figures.figure import TreeFigure
from benchmarks.structure_figures.source import Definition, Module, decorators, functions


def _words(text: str) -> frozenset[str]:
    """Split a list of words."""
    return frozenset(text.split())


_STOPPED = _words("""
    a an the this that these those it its he she they them their we our us you your i my one ones who whom whose which what
    whatever whoever each every all any some no none nobody nothing someone something anybody anything everybody everyone
    everything both either neither another other others such same own many much more most few fewer less least several enough only
    even also not never always again here there now then thus so too very almost nearly about just still yet else once twice when
    where why how whether while whenever wherever if unless until because since although though as than like of in on at by for
    from to into onto over under above below between among through during before after without within with against across along
    around behind beside besides beyond near off out outside inside up upon per via toward towards and or but nor is are was were
    be been being am has had does did can could may might must shall should will would zero two three four five six seven eight
    nine ten half first second third last next true false yes ok new old good bad best worst right wrong plain whole equal
    equivalent available possible blank full small standard gone people seconds body bodies bytes cell endpoint journal percentile
    theory sixteen evalscope guidellm utf csv html http json aiohttp openai azure pandas python orjson pyarrow numpy
""")
_NOUNS_OR_VERBS = _words("""
    sample task text value name number amount time line row column file folder path page word figure cost price token request
    response answer error failure message model instance key tool prompt question result rate share part point bound window state
    setting flag option stage input poison exchange digest journal data free empty clean complete
""")
"""Verbs where a determiner follows: "Name the instances", not "Name, or none"."""
_DETERMINERS = _words("a an the this these its their each every all both one two what which how it them")
_VERBS_WITH_SUCH_ENDINGS = _words("""
    process pass press access address assess discuss dismiss guess miss toss cross express compress suppress bypass focus bring
    ring string sing swing embed feed need seed shed speed proceed exceed succeed shred wed bleed apply reply supply multiply rely
    comply imply fly mention position partition condition function caution section implement increment decrement document augment
    comment experiment complement segment supplement balance advance finance reference sequence silence influence experience
    enable disable deal seal steal signal reveal heal equal total clear hear bear appear panic mimic test request digest rest
    invest suggest harvest ingest nest give derive receive live drive archive arrive dive survive query vary carry compile
    reconcile profile file
""")
_NOUN_ENDINGS = tuple(
    _words("s ing ed ly tion sion ment ness ity ance ence able ible ful less ous est al ar ic ive ory ary ery ile")
)
_AFTER_NOUNS = _words("of per is are was were has have had can may must will does do who whose")
_CLAUSE = _words("that which")
_VERBS_BEFORE_CLAUSES = _words("""
    say check ensure assert require note tell decide find report see know learn show prove verify expect assume believe remember
    record determine compute choose list name predict guess warn complain state write make demand refuse confirm claim announce
    signal count test explain describe pick select read collect judge ask mark recall forget
""")
_WORD = re.compile(r"(re-)?[A-Za-z][a-z]+")
_PROPERTIES = {"property", "cached_property"}


def verb_figures(package: str, modules: Sequence[Module]) -> Iterator[TreeFigure]:
    """Count function docstrings, and the share of them that begin with a verb; the items are those that don't."""
    described = [(place, text) for module in modules for place, text in _docstrings(module)]
    total = sum(len(list(functions(module))) for module in modules)
    yield TreeFigure("functions with docstring, %", package, _percent(len(described), total))
    for name, is_property in (
        ("function docstrings beginning with a verb, %", False),
        ("the same of properties, %", True),
    ):
        texts = [
            (place, text) for place, text in described if bool(decorators(place.node) & _PROPERTIES) is is_property
        ]
        failing = [f"{place.place}: {text.splitlines()[0]}" for place, text in texts if not begins_with_verb(text)]
        yield TreeFigure(name, package, _percent(len(texts) - len(failing), len(texts)), failing)


def begins_with_verb(text: str) -> bool:
    """Judge the first word by itself and by the one after it."""
    first, second = [*text.split(maxsplit=2), "", ""][:2]
    if not _WORD.fullmatch(first.rstrip(",.")) or first.isupper():
        return False
    if first.endswith(","):  # "Read, check and write", not "Sleep, and then"
        return _may_be_verb(first, "") and _may_be_verb(second, "") and second.islower()
    return _may_be_verb(first, second)


def _may_be_verb(word: str, following: str) -> bool:
    """Apply the stop list, the endings, and what the following word says."""
    first, second = word.lower().rstrip(",.:;"), following.lower().strip(",;:.")
    if first in _NOUNS_OR_VERBS:
        return second in _DETERMINERS
    is_noun = second in _AFTER_NOUNS or (second in _CLAUSE and first not in _VERBS_BEFORE_CLAUSES)
    has_noun_ending = first.endswith(_NOUN_ENDINGS) and first not in _VERBS_WITH_SUCH_ENDINGS
    return not (is_noun or has_noun_ending or first in _STOPPED)


def _docstrings(module: Module) -> Iterator[tuple[Definition, str]]:
    """Iterate over the functions that have a docstring."""
    for place, node in functions(module):
        text = ast.get_docstring(node)
        if text:
            yield place, text


def _percent(part: int, whole: int) -> float:
    """Return 100 where there is nothing to fail."""
    return round(100 * part / whole, 1) if whole else 100.0
