"""The crash matrix: runs are ended at every named point of the write path, at random times and by signals, then resumed and checked.

A trial runs 300 samples in parts of 50, is ended once or twice, and is resumed to completion. Lost, duplicated and differing samples are
counted by row against an undisturbed run with the same seed. A refused start is a resume that did not begin. Resumes of a killed run,
repairs of a run with one damaged byte, and rescorings are ended at their own points, too; there "redone" counts sound records that were
run again.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.crash_matrix.matrix import run_matrix, table


def main() -> None:
    """Run the trials, print the table, and exit with 1 where a trial failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write one row per trial to FILE")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="crash-matrix-") as folder:
        outcomes = []
        for number, outcome in enumerate(run_matrix(Path(folder), options.trials, options.seed), start=1):
            outcomes.append(outcome)
            print(
                f"{number}/{options.trials}  {outcome.kind}, {outcome.form}",
                "" if outcome.is_good else outcome,
                file=sys.stderr,
            )
    print(table(outcomes))
    bad = [outcome for outcome in outcomes if not outcome.is_good]
    if options.json:
        options.json.write_bytes(orjson.dumps([asdict(outcome) for outcome in outcomes], option=orjson.OPT_INDENT_2))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
