"""A ladder's result as one HTML file in the style of the report: no network, no script, every text escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from providers.messages import JSON

from ...report.page import digest, open_templates, read_asset
from ...report.plots_as_svg import DARK, LIGHT
from .curves import Curves, table_rows
from .plots import PANELS, draw

COLUMNS = (
    ("concurrency", "concurrency", "{:,.0f}"),
    ("verdict", "verdict", "{}"),
    ("requests/s", "requests_per_s", "{:,.2f}"),
    ("QPM from", "qpm_low", "{:,.1f}"),
    ("to", "qpm_high", "{:,.1f}"),
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
    """Render the whole document. This needs the extra `report`."""
    style = read_asset("page.css")
    return (
        open_templates("orchestrator.capacity.display")
        .get_template("ladder.html.j2")
        .render(
            curves=curves,
            heads=[title for title, _key, _form in COLUMNS],
            rows=[
                [_cell(row.get(key), form) for _title, key, form in COLUMNS] for row in map(_marked, table_rows(curves))
            ],
            figures=[(name, _picture(curves, name, dark=False), _picture(curves, name, dark=True)) for name in PANELS],
            style=style,
            policy=f"default-src 'none'; style-src {digest(style)}; img-src data:; base-uri 'none'; form-action 'none'",
        )
    )


def _marked(row: Mapping[str, JSON]) -> Mapping[str, JSON]:
    return {**row, "verdict": f"{row.get('verdict') or ''} BURST".strip()} if row.get("is_burst") else row


def _picture(curves: Curves, name: str, *, dark: bool) -> str:
    drawn = draw(curves, "svg", DARK if dark else LIGHT, (name,))
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}"


def _cell(value: object, form: str) -> str:
    return "n/a" if value is None else form.format(value)
