"""`write_report`: write the report of a run in one of three formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from providers.errors import InputError
from providers.file_modes import as_its_folder
from runners.durable import replace_file, writing

from ..results.run import Run

if TYPE_CHECKING:
    from .facts.gather import Facts

NEEDED = ("jinja2", "matplotlib", "scipy")


def write_report(run: Run, form: str, path: Path, most_samples: int) -> str:
    """Write `run` as `form` (a key of FORMS) and return a description of the file.

    Raises InputError where it cannot be written, StorageError where the disk fails.
    """
    require_extra()
    from .facts.gather import gather_facts, read_columns

    text, words = FORMS[form](gather_facts(run, read_columns(run)), run, most_samples)
    with writing(path, "choose another --output"):
        replace_file(path, lambda file: file.write(text), as_its_folder if path.parent == run.path else None)
    return f"{words}; {len(text) / 1e6:.1f} MB"


def require_extra(needed: Sequence[str] = NEEDED) -> None:
    """Check that the packages of the extra are installed. Raises InputError in one sentence."""
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise InputError(f"report needs {', '.join(missing)}: pip install 'llm-batch-orchestrator[report]'")


def _page(facts: Facts, run: Run, most_samples: int) -> tuple[bytes, str]:
    from .facts.samples import pack_samples
    from .page import render_page

    pack = pack_samples(run, most_samples)
    return render_page(facts, pack).encode(), pack.in_words().removesuffix(".")


def _markdown(facts: Facts, _run: Run, _most_samples: int) -> tuple[bytes, str]:
    from .markdown import render_markdown

    return render_markdown(facts).encode(), "tables only"


def _json(facts: Facts, _run: Run, _most_samples: int) -> tuple[bytes, str]:
    document = {field.name: getattr(facts, field.name) for field in fields(facts)}
    document["comparisons"] = {comparison.axis: comparison.contrasts for comparison in facts.comparisons}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS), "facts only"


FORMS: Mapping[str, Callable[[Facts, Run, int], tuple[bytes, str]]] = {
    "html": _page,
    "markdown": _markdown,
    "json": _json,
}
ENDINGS: Mapping[str, str] = {"html": ".html", "markdown": ".md", "json": ".json"}
