"""`bench` as a person runs it, over loopback HTTP. Figures depend on the machine, so what is checked is what does not."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Program

Sweep = Callable[..., dict[str, Any]]
SLOW = {"ttft_s": 0.2, "itl_s": 0.001}
SHORT = ("--random-input-len", "20:40", "--random-output-len", "8")
SMALL = (*SHORT, "--min-requests", "8", "--prompts-per-slot", "2")
UNTIMED = ("--max-lag", "60", "--max-cpu-share", "99", "--max-ttft", "60")
"""A busy machine is no reason to fail."""


@pytest.fixture
def ladder(program: Program, sweep: Sweep) -> Callable[..., Any]:
    """Runs a small ladder; more arguments follow."""
    program.write(sweep(program.folder, deployments={"m-1": {"latency": SLOW}}, answers={"output_tokens": 20}))

    def run(*more: object, start: bool = False) -> Any:
        arguments = ("bench", "ladder", "sweep.yaml", *SMALL, *UNTIMED, "-o", "found", *more)
        return program.start(*arguments) if start else program(*arguments)

    return run


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "found" / "ladder.json").read_bytes())
    return found


def test_a_ladder_prints_one_document_and_leaves_a_file_for_every_rung(
    program: Program, ladder: Callable[..., Any]
) -> None:
    done = ladder("--rungs", "1,2,4", "--no-stop", "--no-refine", "--json", "--result-filename", "c{concurrency}.json")
    assert done.code == 0
    (found,) = json.loads(done.out)["ladders"]
    assert [rung["concurrency"] for rung in found["rungs"]] == [1, 2, 4]
    assert found["rungs"] == document(program.folder)["rungs"]
    assert json.loads((program.folder / "found" / "c2.json").read_bytes()) == found["rungs"][1]
    assert found["is_complete"]
    check = program("capacity", _plan(program.folder), "--ladder", "found", "--json")
    assert [one["figure"] for one in json.loads(check.out)["checks"]] == ["TPM", "QPM", "best concurrency"]


def _plan(folder: Path) -> Path:
    path = folder / "plan.yaml"
    path.write_text("before: {tpm: 1}\nafter: {tpm: 2}\nscenarios: {a: {share: 1, latency_s: [2, 1]}}\n")
    return path


@pytest.mark.matrix
def test_a_ladder_that_was_killed_goes_on_where_it_was(program: Program, ladder: Callable[..., Any]) -> None:
    process = ladder("--rungs", "1,2,3,4,5,6", "--no-stop", "--no-refine", start=True)
    program.wait_for(lambda: (program.folder / "found" / "rung-03-c3.json").exists())
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = document(program.folder)["measured"]
    assert not document(program.folder)["is_complete"]
    done = program("bench", "ladder", "--resume", "found")
    assert done.code == 0
    after = document(program.folder)
    assert after["is_complete"]
    assert after["measured"][: len(before)] == before
    assert [rung["concurrency"] for rung in after["rungs"]] == [1, 2, 3, 4, 5, 6]
    assert f"climb {len(before)} in flight" not in done.out


@pytest.mark.matrix
def test_a_resume_takes_no_other_settings_and_keeps_what_was_expected(
    program: Program, ladder: Callable[..., Any]
) -> None:
    assert ladder("--rungs", "1,2", "--no-stop", "--no-refine", "--expect", "success<0.1@c=1").code == 1
    (program.folder / "other.yaml").write_text("{}")
    for more, says in ((("--rungs", "1,2,4"), "--rungs 1,2,4"), (("other.yaml",), "the configuration")):
        done = program("bench", "ladder", *more, "--resume", "found")
        assert done.code == 2
        assert says in done.err
        assert "is not what found was begun with" in " ".join(done.err.split())
    again = program("bench", "ladder", "sweep.yaml", "--rungs", "1,2", "--resume", "found")
    assert again.code == 1
    assert "NOT MET" in again.out
    assert program("bench", "ladder", "--resume", "found", "--expect", "success>0.1@c=1").code == 0


def test_an_expectation_is_the_exit_code(ladder: Callable[..., Any]) -> None:
    rungs = ("--rungs", "1,2", "--no-stop", "--no-refine")
    assert ladder(*rungs, "--expect", "mean_latency_s<nothing").code == 2
    done = ladder(*rungs, "--expect", "success>=0.9,qpm>1@c=2", "--expect", "p99_latency_s<60")
    assert done.code == 1
    assert "expected success_rate>=0.9@c=2: met" in done.out
    assert "NOT MET, n/a" in done.out


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("bench", "ladder"), "name a sweep file"),
        (("bench", "ladder", "sweep.yaml", "--rungs", "4,2"), "rising whole numbers"),
        (("bench", "ladder", "sweep.yaml", "--instance", "nobody"), "no instance 'nobody'"),
        (("bench", "ladder", "--resume", "."), "--resume takes the directory of a ladder"),
        (("bench", "ladder", "sweep.yaml", "--result-filename", "{what}.json"), "only {concurrency} and {number}"),
        (("bench", "ladder", "sweep.yaml", "--result-filename", "../x"), "a separate file"),
        (("bench", "ladder", "sweep.yaml", "--window", "0"), "seconds must be more than 0"),
        (("bench", "ladder", "sweep.yaml", "--metrics-url", "http://127.0.0.1:9/metrics"), "check the address"),
        (("bench", "compare", "sweep.yaml", "m-1", "m-1"), "name two different ones"),
        (("bench", "qps", "sweep.yaml", "--target", "0"), "--target"),
        (("bench", "ladder", "sweep.yaml", "--max-ttft", "-1"), "--max-ttft"),
        (("bench", "ladder", "sweep.yaml", "--rpm-limit", "-5"), "--rpm-limit"),
        (("bench", "ladder", "sweep.yaml", "--model", ""), "--model is empty"),
        (("simulator", "sweep.yaml", "--port", "99999"), "--port"),
        (("bench", "ladder", "sweep.yaml", "--yes", "--cost-limit", "1"), "nobody knows what"),
        (("bench", "qps", "sweep.yaml", "--target", "1", "--cost-limit", "1"), "nobody knows what"),
        (("bench", "compare", "sweep.yaml", "m-1", "m-1", "--cost-limit", "1"), "nobody knows what"),
        (
            ("bench", "run", "sweep.yaml", "--max-concurrency", "1", "--duration", "3", "--warmup", "100"),
            "leave nothing of 3 s to measure",
        ),
    ],
)
def test_a_mistake_is_one_sentence(program: Program, sweep: Sweep, arguments: tuple[object, ...], says: str) -> None:
    program.write(sweep(program.folder))
    done = program(*arguments)
    assert done.code == 2
    assert says in " ".join(done.err.split())


@pytest.mark.matrix
def test_a_rate_and_a_comparison_end_in_a_document(program: Program, sweep: Sweep) -> None:
    program.write(sweep(program.folder, deployments={name: {"latency": SLOW} for name in ("m-1", "m-2")}))
    rate = program("bench", "qps", "sweep.yaml", *SMALL, "--target", "10", "--instance", "m-1", "--json")
    assert json.loads(rate.out)["smallest_concurrency"] is not None
    done = program(
        *("bench", "compare", "sweep.yaml", "m-1", "m-2", *SHORT, "--rounds", "5", "--requests", "8", "--json")
    )
    assert {one["figure"] for one in json.loads(done.out)["differences"]} >= {"latency_s", "ttft_s", "requests_per_s"}


@pytest.mark.matrix
def test_two_instances_are_climbed_alone_and_together(
    program: Program, ladder: Callable[..., Any], sweep: Sweep
) -> None:
    program.write(sweep(program.folder, deployments={name: {"latency": SLOW} for name in ("m-1", "m-2")}))
    done = ladder("--rungs", "1,2", "--no-stop", "--no-refine", "--together", "--json")
    assert [one["name"] for one in json.loads(done.out)["ladders"]] == ["sim/m-1", "sim/m-2", "together"]
    assert (program.folder / "found" / "sim-m-2" / "ladder.json").exists()
    assert json.loads(done.out)["shared_quota"] is None
    for arguments in (("bench", "plot", "found"), ("capacity", _plan(program.folder), "--ladder", "found")):
        refused = program(*arguments)
        assert refused.code == 2
        assert "found holds the ladders of several instances; name one of them" in refused.err
        assert "found/sim-m-1" in refused.err
    assert program("bench", "report", "found/sim-m-1").code == 0
    page = (program.folder / "found" / "sim-m-1" / "bench-report.html").read_text()
    assert "binding: none" in page
    assert "workers: " in page
    assert "PASS BURST" in page
