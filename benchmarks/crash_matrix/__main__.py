"""The crash matrix: runs ended at every named point of their writing, at random times, by signals; each resumed and checked row by row.

A trial runs 300 samples in parts of 50, is ended once or twice, and is resumed to its end. Lost, duplicated and differing samples are
counted against an undisturbed run of the same seed; a refused start is a resume that did not begin.
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a row per trial there, too")
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
    bad = [one for one in outcomes if not one.is_good]
    if options.json:
        options.json.write_bytes(orjson.dumps([asdict(one) for one in outcomes], option=orjson.OPT_INDENT_2))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
