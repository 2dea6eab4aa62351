"""A ladder's result as one HTML file: no network, no script, every text escaped where it is set into the page."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from providers.errors import InputError

from ..terminal import printable
from .curves import Curves, table_rows
from .plots import draw

COLUMNS = (
    ("concurrency", "concurrency", "{:,.0f}"),
    ("verdict", "verdict", "{}"),
    ("requests/s", "requests_per_s", "{:,.2f}"),
    ("per connection", "requests_per_s_per_connection", "{:,.3f}"),
    ("TPM", "tpm", "{:,.0f}"),
    ("success", "success_rate", "{:.1%}"),
    ("TTFT p50, s", "p50_ttft_s", "{:.3f}"),
    ("latency mean, s", "mean_latency_s", "{:.3f}"),
    ("p50", "p50_latency_s", "{:.3f}"),
    ("p95", "p95_latency_s", "{:.3f}"),
    ("p99", "p99_latency_s", "{:.3f}"),
    ("why", "reason", "{}"),
)


def render_page(curves: Curves) -> str:
    """The whole document. Raises InputError where jinja2 or matplotlib is not installed."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise InputError("a report needs jinja2: pip install 'llm-batch-orchestrator[report]'") from error
    room = Environment(
        loader=PackageLoader("orchestrator.capacity", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    style = (files("orchestrator.capacity") / "assets" / "page.css").read_text(encoding="utf-8")
    return room.get_template("page.html.j2").render(
        curves=curves,
        heads=[title for title, _key, _form in COLUMNS],
        rows=[[_cell(row.get(key), form) for _title, key, form in COLUMNS] for row in table_rows(curves)],
        picture=f"data:image/svg+xml;base64,{base64.b64encode(draw(curves, 'svg')).decode()}",
        style=style,
        policy=f"default-src 'none'; style-src {_digest(style)}; img-src data:; base-uri 'none'; form-action 'none'",
    )


def _cell(value: object, form: str) -> str:
    return "n/a" if value is None else form.format(value)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
