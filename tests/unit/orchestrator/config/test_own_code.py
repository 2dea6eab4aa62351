"""What a person's own code consists of: the modules that it imports and the files that it declares."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from orchestrator.config.own_code import code_parts, declares
from orchestrator.config.user_code import load_function
from providers.errors import InputError

FILES = {
    "own/__init__.py": "",
    "own/scorer.py": """
        import json, os.path
        import orchestrator as orch
        from .words import clean
        @orch.declares(reads=["registry.json"])
        def score(): from own import late
        """,
    "own/words.py": "import own_top\ndef clean(): ...",
    "own/late.py": "",
    "own/unused.py": "",
    "own/registry.json": "{}",
    "own_top.py": "",
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of a person's, importable."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(line.removeprefix(" " * 8) for line in text.splitlines()))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in {"own", "own_top"}]:
        del sys.modules[name]


def _parts() -> dict[str, str]:
    return code_parts({"the scorer own.scorer:score": load_function("own.scorer:score", "scorer")})


def test_own_modules_and_declared_files_are_parts_and_nothing_that_is_installed(own: Path) -> None:
    assert {name.removeprefix("file ") for name in _parts()} == {
        "own/__init__.py", "own/scorer.py", "own/words.py", "own/late.py", "own_top.py", "registry.json",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["own/scorer.py", "own/words.py", "own/late.py", "own/registry.json", "own_top.py"])
def test_a_change_of_any_of_them_changes_its_part_alone(own: Path, name: str) -> None:
    before = _parts()
    (own / name).write_text((own / name).read_text() + "\n# changed")
    after = _parts()
    assert [part for part in before if before[part] != after[part]] == [
        f"file {Path(name).name}" if "json" in name else f"file {name}"
    ]


def test_a_declared_file_that_is_missing_is_refused(own: Path) -> None:
    (own / "own/registry.json").unlink()
    with pytest.raises(
        InputError, match=r"the scorer own\.scorer:score declares that it reads registry\.json, which cannot be read"
    ):
        _parts()


def _helper() -> int:
    return 1


def _calls_helper() -> int:
    return _helper()


class _Callable:
    def __call__(self) -> int:
        return 2


@pytest.mark.parametrize("function", [_calls_helper, partial(_calls_helper), _Callable()])
def test_what_a_script_passes_has_its_source_without_the_rest_of_the_script(
    function: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for own in (_helper, _calls_helper, _Callable):
        monkeypatch.setattr(own, "__module__", "__main__")
    (name,) = code_parts({"your scorer": function})
    assert name == "source of your scorer"


def test_declares_leaves_the_function_as_it_is() -> None:
    assert declares(reads=["x"])(_helper) is _helper
