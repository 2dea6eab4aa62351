"""A ladder's result as curves, pictures and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from orchestrator.capacity.display.curves import Curves, curves_of, read_curves, table_rows
from orchestrator.capacity.display.page import render_page
from orchestrator.capacity.display.plots import draw
from orchestrator.results.stats.knee import find_knee
from providers.errors import InputError

LEVELS = (1, 2, 4, 8, 16, 32)


def ladder(**more: Any) -> dict[str, Any]:
    """Ten requests per second and place up to eight places, and not one more after that."""
    rungs: list[dict[str, Any]] = [
        {
            "concurrency": level,
            "qpm": 600.0 * min(level, 8),
            "mean_latency_s": max(level, 8) / 80,
            "p95_latency_s": None if level < 8 else 0.3,
            "success_rate": 1.0 if level < 32 else 0.9,
            "verdict": "PASS",
            "failures": {},
        }
        for level in LEVELS
    ]
    return {
        "name": "box",
        "rungs": rungs,
        "limit": 16,
        "recommended": 12,
        "optimum": 8,
        "stop_rule": "FAIL-GAIN",
        **more,
    }


def test_efficiency_is_throughput_per_connection() -> None:
    found = curves_of(ladder())
    assert found.throughput == [10, 20, 40, 80, 80, 80]
    assert found.efficiency == [10, 10, 10, 10, 5, 2.5]
    assert found.marks == {"knee": 8, "limit": 16, "recommended": 12, "optimum": 8}


def test_a_curve_that_only_rises_has_no_knee() -> None:
    assert find_knee([1, 2, 4, 8], [1, 2, 4, 8]) is None
    assert find_knee([1, 2], [1, 1]) is None
    assert find_knee([1, 2, 4, 8, 16], [5, 5, 5, 5, 5]) is None


def test_of_rungs_that_were_measured_twice_the_last_one_is_drawn_and_all_are_in_the_table() -> None:
    document = ladder()
    again = {**document["rungs"][2], "qpm": 1200.0, "phase": "confirm"}
    found = curves_of({**document, "rungs": [*document["rungs"], again]})
    assert found.throughput[2] == 20
    rows = table_rows(found)
    assert len(rows) == 7
    assert rows[-1]["phase"] == "confirm"
    assert rows[0]["phase"] is None
    assert "failures" not in rows[0]


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_picture_is_the_same_whenever_it_is_drawn(form: Any) -> None:
    picture = draw(curves_of(ladder()), form)
    assert picture.startswith(b"\x89PNG" if form == "png" else b"<?xml")
    assert picture == draw(curves_of(ladder()), form)


def test_one_rung_can_be_drawn_too() -> None:
    document = ladder()
    assert draw(curves_of({**document, "rungs": document["rungs"][:1], "limit": None}), "png")


def test_the_page_needs_nothing_else_and_escapes_what_comes_from_outside() -> None:
    page = render_page(curves_of(ladder(name="<script>alert(1)</script>")))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "FAIL-GAIN" in page
    assert "data:image/svg+xml;base64," in page


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"rungs": []}', b'{"rungs": [{"concurrency": 1}]}', b'{"rungs": 7}']
)
def test_a_file_that_is_no_ladder_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ladder.json").write_bytes(content)
    with pytest.raises(InputError, match=r"ladder\.json"):
        read_curves(tmp_path)


def test_a_directory_stands_for_the_ladder_in_it(tmp_path: Path) -> None:
    (tmp_path / "ladder.json").write_bytes(orjson.dumps(ladder()))
    found = read_curves(tmp_path)
    assert isinstance(found, Curves)
    assert found == read_curves(tmp_path / "ladder.json")
