"""The patterns of `stated_choice.py`: how answers state, select, praise and deny an option. Group by group they hold the option's label."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .places import Places, chinese_selections, chinese_verdicts, labels_with_verdict, nouns, selections, words

BEFORE_CHARACTERS = 60
"""Characters before a statement that can make it a doubt."""

_I = re.IGNORECASE
_END = r"(?![A-Za-z\d'’_^]|[.,]\d|\s?[=+/<>^]\s?[\w(])"
_PROSE = (
    r"(?!\s+(?!(?:because|since|as|and|or|is|was|due|for|which|given|but|while|based|by|not|with|if|in|option|only|per|from|according|that|"
    r"where|when|however|so|therefore|would|has|seems|fits|works|matches|makes|can|does)\b)[a-z])"
)
"""An article or pronoun is followed by another word than these."""
_LABEL = rf"(?:(?-i:([AI]){_END}{_PROSE}|([B-HJ-Z]){_END}|([a-z])(?=[)\].*:,}}]|\s*+$))|(\d{{1,2}}){_END}(?!\s?[%°]))"
_OPEN = r"[\s_(\[（「【{\"'“‘:：>]"
_FILL = (
    rf"(?:{_OPEN}++|\\[(\[]|(?:(?:most\s)?likely|probably|definitely|clearly|therefore|thus|indeed|actually|still|simply|just|obviously|certainly"
    rf"|the|it\s+is|it's|that\s+is|option|choice|letter|answer|statement|number|correct|best)(?![A-Za-z])|选项|選項){{0,12}}"
)
_BE = r"(?:is|are|was|would\s+be|should\s+be|must\s+be|will\s+be|has\s+to\s+be|be|equals)"
_NOUN = (
    r"(?:answers?|solution|(?:correct|right|best|final|my|chosen|appropriate|valid|suitable|accurate|only|the)\s+"
    r"(?:option|choice|response|letter|one|selection))"
)
_NOT = r"(?:\s+(?:not|never|neither)\b|n['’]t\b)"
_ENDS_CLAUSE = r"(?=\s*+[)\]}]?\s*+(?:[.,;:!?\n(—–-]|$|(?:because|since|as|for|given|due|is|which|based)\b))"

STATEMENTS: Sequence[tuple[Places, re.Pattern[str]]] = (
    (
        nouns,
        re.compile(
            rf"\b{_NOUN}(?:\s?\([^()\n]{{0,40}}\))?(?:\s*+[:：=?→]+|\s*+-+>|\s+-|['’]s|\s+{_BE}(?![a-z])|[^.!?\n:：;]{{1,80}}?(?:(?<!not)(?<!n't)(?<!n’t)\s{_BE}(?![a-z])|[:：]))"
            rf"(?:{_NOT}|{_FILL}{_LABEL})",
            _I,
        ),
    ),
    (
        words("\\boxed"),
        re.compile(
            r"\\boxed\s{0,9}\{[\s({]*+(?:option\s++|choice\s++|answer:?\s++)?"
            + rf"{_LABEL}(?=\s*+(?:[)}}.:,]|\\[),;]|and\b|or\b|$))",
            _I,
        ),
    ),
    (words("<"), re.compile(rf"<(?:final_?)?(?:answer|choice|ans)>\s*+{_OPEN}*+{_LABEL}", _I)),
    (
        words("final", "answer"),
        re.compile(rf"\b(?:final\s+answer|answer)\s*+{_OPEN}*+{_LABEL}(?=[)\]}}]*+\s*+(?:[.!\n]|$))", _I),
    ),
    (
        words("wait", "actually", "no", "correction", "sorry", "oops", "hmm"),
        re.compile(
            rf"\b(?:wait|actually|no|correction|sorry|oops|hmm)\b[\s,.:!—-]{{1,4}}"
            rf"(?:(?:actually|no|wait|sorry|i\s+mean|i'd\s+say|that\s+is|that's|it\s+is|it's|it\s+should\s+be|it\s+must\s+be|should\s+be|"
            rf"make\s+(?:it|that)|the)[\s,.:]{{1,3}}){{1,4}}{_FILL}{_LABEL}{_ENDS_CLAUSE}",
            _I,
        ),
    ),
    (
        words(
            "r\u00e9ponse",
            "reponse",
            "respuesta",
            "antwort",
            "risposta",
            "resposta",
            "\u043e\u0442\u0432\u0435\u0442",
            "cevap",
            "odpowied\u017a",
        ),
        re.compile(
            rf"\b(?:r[ée]ponse|respuesta|antwort|risposta|resposta|ответ|cevap|odpowiedź)(?:[^.!?\n:]{{0,40}}?\s(?:es|est|ist|è|é|jest)(?![a-z])|\s*+[:—-])"
            rf"\s*+(?:(?:la|die|l'|opción|option|вариант)\s*+)*+{_OPEN}*+{_LABEL}",
            _I,
        ),
    ),
    (
        words("\u7b54", "\u6b63", "\u6700\u4f73", "\uc815\ub2f5", "\ub2f5"),
        re.compile(
            rf"(?:答案|答え|正解|正确选项|正確選項|正确的?选项|最佳选项|정답|답)[^。，；,;\n:：A-Z]{{0,20}}?(?:应该|應該|应|應)?(?:不是|{_FILL}(?:是|为|為|选|選|は|은|는)?{_FILL}(?<![A-Za-z]){_LABEL})"
        ),
    ),
    (
        chinese_selections,
        re.compile(
            rf"(?<![不别勿没])(?:故|应|應|我|因此|所以|应该|應該|请|最终)?(?:选择|選擇|选|選)(?![项項])(?:了|的是)?{_FILL}{_LABEL}"
        ),
    ),
    (words("\u6b63\u786e\u7684", "\u6b63\u78ba\u7684"), re.compile(rf"(?:正确|正確)的是{_FILL}{_LABEL}")),
)
"""Statements of the answer, each with the places where it can begin; the last statement counts. Without a label it is negated."""
_TEXT_OF_OPTION = r"(?:\s?\([^()\n]{1,60}\)|[.):]\s[^.\n]{1,60}?)?"
VERDICTS: Sequence[tuple[Places, re.Pattern[str]]] = (
    (
        labels_with_verdict,
        re.compile(
            rf"(?<![\w'’])(?<![A-Z] and )(?<![A-Z] or )(?:option\s+|choice\s+|answer\s+|statement\s+)?[(\[]?{_LABEL}[)\]]?{_TEXT_OF_OPTION}"
            rf"\s+(?:is|seems|looks|must\s+be|would\s+be|has\s+to\s+be|appears(?:\s+to\s+be)?)"
            rf"\s(?:(?:therefore|thus|clearly|definitely|indeed|the|a|most|only|hence|likely|probably|obviously)\s)*+"
            rf"(?:correct|right|best|true|answer|accurate|appropriate)\b(?!\s(?:about|in\b|for|only\sif|if|but|when))",
            _I,
        ),
    ),
    (
        chinese_verdicts,
        re.compile(rf"{_LABEL}\s?(?:选项|選項|项|項)?(?:是|为|為)?(?:正确|正確|对的|對的)"),
    ),
    (
        selections,
        re.compile(
            rf"\b(?:choose|chose|pick|select|selected|go(?:ing)?\s+(?:with|for)|opt\s+for|settle\s+on|guess|say|leav(?:es?|ing)(?:\s+us\s+with)?(?:\s+only)?"
            rf"|must\s+be|has\s+to\s+be|points?\s+to|corresponds?\s+to|matches|so|thus|therefore|hence|it\s+is|it's)\b,?{_FILL}{_LABEL}{_ENDS_CLAUSE}",
            _I,
        ),
    ),
)
"""Verdicts and selections; the last one counts if there is no statement."""
BUT = re.compile(
    rf"[^.!?。\n]{{0,60}}?(?:[.;,，。]\s*+)?(?:\b(?:but|rather|instead|it\s+is|it's|it\s+must\s+be|is)\b|而是|应该是){_FILL}{_LABEL}",
    _I,
)
"""What stands in place of a denied option: "not A but B", "not A. It is B"."""
DOUBTED = re.compile(
    r"\b(?:if|suppose|supposing|assume|assuming|whether|unless|first\s+thought|initially|at\s+first|tempt\w+|(?:might|may|would|could)\s+(?:\w+\s)?"
    r"(?:think|say|assume|guess|believe|choose|pick))\b[^.!?\n]{0,50}$|(?:\b(?:not|never|cannot)|n['’]t)\s+(?:be\s+|that\s+)?(?:the\s+)?$|(?:不|如果|假设)[^。，,；\n]{0,8}$",
    _I,
)
"""Behind these words a statement is a supposition or a denial."""
DENIED_AFTER = re.compile(
    r"[)\]}]?(?:\s*[(:][^()\n]{0,60}\)?)?\s*+(?:(?:is|are|was|were|seems|looks|would\s+be)\s+(?:also\s+|clearly\s+|simply\s+|therefore\s+|just\s+|too\s+|a\s+)*"
    r"(?:not|wrong|incorrect|false|invalid|out|too|ruled|eliminated|impossible|unlikely|irrelevant|common\s+(?:distractor|mistake))\b"
    r"|(?:isn|doesn|can|won|wasn|wouldn)['’]t\b|cannot\b|can\s+be\s+(?:ruled|eliminated|excluded)|does\s+not\b|fails?\b|(?:选项|選項|项|項)?(?:是)?(?:错|錯|不))",
    _I,
)
"""Behind a label: it is denied."""
DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|neither|nor|except|eliminat\w+|rul(?:e|es|ed|ing)\s+out|exclud\w+|instead\s+of|rather\s+than|unlike|cannot\s+be)|n['’]t(?:\s+be)?)"
    r"\s+(?:option\s+|choice\s+)?(?:\(?[A-Z]\)?\s*(?:,|or|and|nor)\s*)*[(\[*\"]*$|(?:不是|不选|排除)[(（]?$",
    _I,
)
HEDGE = re.compile(
    rf"\s*+[)\]}}）]*+\s*+(?:,|，)?\s*+(?:or|and|&|/|或|和|、|,|，|及|以及){_FILL}{_LABEL}(?!\s+(?:is|was|does|has|fails|would|can|could|seems|did|cannot|isn|doesn)\b)",
    _I,
)
"""A second option behind a label."""
LEADING = re.compile(rf"\W*+(?:(?:option|choice|选项)\s*+)?{_LABEL}(?:\s*+$|[.):\]}}]|\s*+[-–—:：,，、。]|\s*+\()", _I)
ALONE = re.compile(rf"\W*+(?:(?:option|choice)\s+)?{_LABEL}\W*$", _I)
NEGATED = re.compile(r"\b(?:not|never|isn|wasn|neither)\b|n['’]t\b|不是", _I)
_NO_OPTION = "".join(
    f"(?<!{word} )(?<!{word.capitalize()} )"
    for word in (
        "vitamin",
        "type",
        "class",
        "group",
        "point",
        "figure",
        "plan",
        "hepatitis",
        "step",
        "part",
        "theorem",
        "case",
    )
)
"""Before a letter that is part of a name, such as "vitamin C"."""
MENTION = re.compile(
    rf"\(([A-Z])\)|\*\*\(?([A-Z])\)?[.:)]?\*\*|(?<![\w'’]){_NO_OPTION}([A-Z])(?=[).:、])|(?<![\w'’]){_NO_OPTION}([B-HJ-Z])(?![\w'’^=+/]|\s?[=+^])|(?<![\w'’])(A)(?=\s(?:and|or)\s[B-Z]\b)"
)
"""Single letters that are not words: A and I count only with a bracket, a stop or emphasis."""
