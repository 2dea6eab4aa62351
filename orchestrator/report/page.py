"""The report as one HTML file: no network, no library, every external text escaped.

Three measures protect the reader's browser from the texts of models and servers. Every text is escaped where it is inserted. The samples
are embedded as base64 and shown as text, never as markup. The content security policy allows only our own scripts, by digest, and no
requests.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING

import yaml

from ..ui.terminal import printable
from ..ui.text_table import TextTable
from .facts.gather import Facts
from .facts.samples import SamplePack
from .figures import draw_plots
from .heat_map import build_heat_map
from .tables import NOTHING, not_ranked, not_whole, page_tables

if TYPE_CHECKING:
    from jinja2 import Environment

_NUMERIC = re.compile(r"[\d$+−\-\[–<].{0,22}")


def render_page(facts: Facts, pack: SamplePack) -> str:
    """Render the whole document. Control characters and direction marks become spaces."""
    templates = open_templates("orchestrator.report")
    style, script = (read_asset(name) for name in ("page.css", "viewer.js"))
    return templates.get_template("page.html.j2").render(
        facts=facts,
        tables=page_tables(facts),
        heat_map=build_heat_map(facts),
        plots=draw_plots(facts),
        pack=pack,
        configuration=yaml.safe_dump(dict(facts.configuration), sort_keys=False, allow_unicode=True).splitlines(),
        period=_period(facts),
        notes=[note for note in (not_whole(facts), not_ranked(facts)) if note],
        policy=_policy(style, script),
        style=style,
        script=script,
        is_numeric=is_numeric,
    )


def open_templates(package: str) -> Environment:
    """Return the template environment of a package's `assets`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package, "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )


def is_numeric(table: TextTable, index: int) -> bool:
    """Check whether a column is aligned right."""
    cells = [row[index] for row in table.rows if row[index] != NOTHING]
    return index >= table.keys and bool(cells) and all(map(_NUMERIC.fullmatch, cells))


def read_asset(name: str) -> str:
    """Read one file of the report's assets."""
    return (files("orchestrator.report") / "assets" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; script-src {digest(script)}; style-src {digest(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def digest(text: str) -> str:
    """Return the source expression of a script or style for the content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _period(facts: Facts) -> str:
    """Format the period of the run, in UTC."""
    begun, ended = (
        [float(str(execution[name])) for execution in facts.executions] for name in ("started_at", "ended_at")
    )
    if not begun:
        return ""
    begin, end = datetime.fromtimestamp(min(begun), UTC), datetime.fromtimestamp(max(ended), UTC)
    form = "%H:%M" if begin.date() == end.date() else "%d %B %Y, %H:%M"
    return f"{begin:%d %B %Y, %H:%M} – {end:{form}} UTC"
