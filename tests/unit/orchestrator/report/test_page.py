"""The page and its Markdown: what comes from outside is text in both, and the page fetches nothing and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from orchestrator.report.facts.gather import Facts, gather_facts, read_columns
from orchestrator.report.facts.samples import pack_samples
from orchestrator.report.heat_map import build_heat_map
from orchestrator.report.markdown import as_text, render_markdown
from orchestrator.report.page import render_page
from orchestrator.results.run import Run

MakeRun = Callable[..., Run]

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)></style></script>\x00\x1b[31m\u202e$x_1$ | {{ 7*7 }} [a](javascript:b)"
FAILED = {"score": 0.0, "grade": "failed", "passed": False, "score_error": EVIL}
NAMED = dict.fromkeys(
    (
        *(
            "task_id",
            "model",
            "prompt_type",
            "difficulty",
            "task_type",
            "instance",
            "planned_instance",
            "input",
            "target",
        ),
        *("output_text", "request_id", "response_model", "finish_reason"),
    ),
    EVIL,
)
LOST = {
    **NAMED, "outcome": "infra_failure", "error_class": EVIL, "error_message": EVIL, "score": None, "grade": None, "passed": None,
    "moved_reason": EVIL, "raw_response": EVIL,
}  # fmt: skip
DECIDED = [
    {"at": 1.0, "instance": EVIL, "event": "instance_lost", "state": EVIL, "evidence": EVIL},
    {"at": 2.0, "instance": EVIL, "event": EVIL, "evidence": EVIL},
]


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.code: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag in self.code:
            self.code[tag].append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem in self.code:
            self.code[self.cdata_elem][-1] += data


@pytest.fixture
def evil_run(make_run: MakeRun) -> Run:
    return make_run([NAMED, {**NAMED, **FAILED}, LOST, {"model": "m", "prompt_type": "cot"}], DECIDED)


def facts_of(run: Run) -> Facts:
    return gather_facts(run, read_columns(run))


def page_of(run: Run) -> str:
    return render_page(facts_of(run), pack_samples(run))


def test_nothing_from_outside_becomes_markup(evil_run: Run) -> None:
    page = page_of(evil_run)
    elements = Elements(page).found
    assert [tag for tag, _attrs in elements].count("script") == 2
    assert all((attrs["src"] or "").startswith("data:image/svg+xml;base64,") for tag, attrs in elements if tag == "img")
    assert not [name for _tag, attrs in elements for name in attrs if name.startswith("on") or name == "style"]
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "{{ 7*7 }}" in page
    assert {sign for sign in page if not sign.isprintable()} == {"\n"}


def test_no_figure_says_more_than_text(evil_run: Run) -> None:
    for found in re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page_of(evil_run)):
        svg = base64.b64decode(found).decode()
        assert "<script" not in svg
        assert "<img" not in svg
        assert {sign for sign in svg if not sign.isprintable()} == {"\n"}


def test_the_policy_lets_its_own_script_and_style_run_and_nothing_be_fetched(evil_run: Run) -> None:
    page = page_of(evil_run)
    elements = Elements(page)
    (policy,) = (
        attrs["content"] for tag, attrs in elements.found if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for code in (elements.code["script"][1], elements.code["style"][0]):
        assert f"sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}" in policy
    assert "unsafe" not in policy
    fetched = [
        name for _tag, attrs in elements.found for name in attrs if name in {"src", "href", "srcset", "action", "data"}
    ]
    assert fetched
    for _tag, attrs in elements.found:
        for name in ("src", "srcset", "href"):
            assert (attrs.get(name) or "#").startswith(("#", "data:image/svg+xml;base64,"))


def test_a_page_is_a_function_of_its_run(make_run: MakeRun) -> None:
    run = make_run([{}, {**FAILED, "model": "n"}])
    assert page_of(run) == page_of(run)


def test_a_run_without_a_record_has_a_page(make_run: MakeRun) -> None:
    assert "All 0 samples." in page_of(make_run([]))


def test_a_run_that_has_not_come_to_its_end_says_so(make_run: MakeRun) -> None:
    run = make_run([{}])
    facts = replace(facts_of(run), total=1_000)
    for text in (render_page(facts, pack_samples(run)), render_markdown(facts)):
        assert "999 samples have no record here" in text


def test_markdown_shows_every_sign_as_it_is(evil_run: Run) -> None:
    text = render_markdown(facts_of(evil_run))
    assert "<" not in text
    assert "[a](javascript" not in text
    assert {sign for sign in text if not sign.isprintable()} == {"\n"}
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert as_text("a_b*c <b>\nd") == r"a\_b\*c &lt;b&gt; d"


def test_the_heat_map_has_prompts_down_and_the_other_axes_across(make_run: MakeRun) -> None:
    kinds = [
        {"prompt_type": prompt, "difficulty": difficulty, **(FAILED if difficulty == "hard" else {})}
        for prompt in ("baseline", "cot")
        for difficulty in ("easy", "hard")
    ]
    run = make_run(kinds)
    heat = build_heat_map(facts_of(run))
    assert heat is not None
    assert (heat.row_axes, heat.columns) == (("prompt_type",), ("easy", "hard"))
    assert [[cell.step for cell in cells] for _levels, cells in heat.rows] == [[10, 0], [10, 0]]


def test_one_axis_alone_has_no_heat_map(make_run: MakeRun) -> None:
    run = make_run([{}, {"model": "n"}])
    assert build_heat_map(facts_of(run)) is None
