"""What CI installs is pinned by hash and fits the metadata; every licence is listed; every line of SECURITY.md is held by a test."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / ".ci" / "requirements.txt").read_text(encoding="utf-8")
TESTS = re.findall(r"`(tests/\S+?\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))


def locked() -> Mapping[NormalizedName, str]:
    """Return the versions of the lock file by name."""
    return {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE)}


def direct(*extras: str) -> Iterator[Requirement]:
    """Return what the metadata asks for."""
    optional = PROJECT["project"]["optional-dependencies"]
    texts = [*PROJECT["project"]["dependencies"], *(text for extra in extras for text in optional[extra])]
    yield from map(Requirement, texts)


def test_every_locked_version_has_hashes_and_fits_the_metadata() -> None:
    for line in re.split(r"\n(?=\S)", LOCK.strip()):
        assert re.fullmatch(r"[\w.-]+==\S+( ; [^\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", line), line
    versions = locked()
    for requirement in [*direct("test"), *map(Requirement, PROJECT["build-system"]["requires"])]:
        name = canonicalize_name(requirement.name)
        assert name in versions, f"{name} is not locked: run .ci/lock"
        assert versions[name] in requirement.specifier, f"{requirement} is locked as {versions[name]}: run .ci/lock"


def test_every_package_has_a_licence_in_the_list() -> None:
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    rows = {canonicalize_name(name): licence for name, licence in re.findall(r"^\| (\S+) +\| (.*?) +\|$", page, re.M)}
    wanted = {*locked(), *(canonicalize_name(one.name) for one in direct(*PROJECT["project"]["optional-dependencies"]))}
    assert sorted(wanted - rows.keys()) == [], "run .ci/licences"
    assert [name for name in wanted if rows[name] in {"", "UNKNOWN"}] == []


def test_every_line_of_the_threat_model_names_a_test() -> None:
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| Who |")]
    assert len(lines) == len(TESTS) > 20


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_a_test_that_holds_a_line_of_the_threat_model_is_there(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
