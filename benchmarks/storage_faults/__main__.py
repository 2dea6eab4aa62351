"""Let every call of the write path fail in turn and print what each command says: `python -m benchmarks.storage_faults`.

`--scene NAME` and `--form FORM` choose; `--every N` takes each n-th trial; `--json FILE` writes all rows.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.storage_faults.scenes import SCENES
from benchmarks.storage_faults.trial import ANY_CALL, FAULTS, FORMS, FaultOutcome, Workplace


def main() -> None:
    """Run the trials and print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--scene", action="append", choices=[scene.name for scene in SCENES])
    parser.add_argument("--form", action="append", choices=FORMS)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    scenes = options.scene or [scene.name for scene in SCENES]
    with TemporaryDirectory(prefix="storage-faults-") as folder, Workplace(Path(folder).resolve()) as workplace:
        outcomes = []
        for outcome in trials(workplace, scenes, options.form or FORMS, options.every):
            outcomes.append(outcome)
            print("BAD" if outcome.fault else "good", *asdict(outcome).values(), sep=" | ", flush=True)
    print(table(outcomes))
    if options.json:
        options.json.write_bytes(orjson.dumps(outcomes, option=orjson.OPT_INDENT_2))
    print(f"{len(outcomes)} trials, {sum(1 for outcome in outcomes if outcome.fault)} bad")


def trials(workplace: Workplace, scenes: list[str], forms: tuple[str, ...], every: int) -> Iterator[FaultOutcome]:
    """Run every call of every scene with each of its errors."""
    turn = 0
    for scene in SCENES:
        for form in forms if scene.name in scenes else ():
            template = workplace.prepared(scene, form)
            for number, (call, _) in enumerate(workplace.calls(scene, template), 1):
                for fault in FAULTS.get(call, ANY_CALL):
                    turn += 1
                    if turn % every == 0 and (outcome := workplace.perform(scene, template, number, fault)):
                        yield outcome


def table(outcomes: list[FaultOutcome]) -> str:
    """Return a line for each command, call and exit code, with the errors and one of the sentences."""
    groups: dict[tuple[str, str, int], list[FaultOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.scene, outcome.call, outcome.code), []).append(outcome)
    lines = ["command | call | exit code | trials | errors | verify and resume | a sentence"]
    for (scene, call, code), group in groups.items():
        errors = ", ".join(f"{name} {count}" for name, count in Counter(one.error for one in group).items())
        bad = sum(1 for one in group if one.fault)
        verdict = f"{bad} bad" if bad else "good"
        lines.append(f"{scene} | {call} | {code} | {len(group)} | {errors} | {verdict} | {group[0].sentence}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
