"""The system's limit on open files is raised, and a run that needs more still says so and keeps within it."""

from __future__ import annotations

import resource
import subprocess
import sys

from orchestrator.execution.alerts.open_files import fit_workers
from providers.instance import Instance


def instance(name: str, workers: int | None) -> Instance:
    return Instance(name, "m", name, "p", name, workers=workers)


def test_workers_that_fit_stay_as_they_are() -> None:
    instances = {"m": [instance("a", 100), instance("b", 50)]}
    assert fit_workers(instances, samples=1000, sockets=150) == (instances, None)


def test_few_samples_need_few_sockets_whatever_the_workers() -> None:
    instances = {"m": [instance("a", None)]}
    assert fit_workers(instances, samples=20, sockets=30) == (instances, None)


def test_workers_are_lowered_in_proportion_and_it_is_said() -> None:
    fitted, sentence = fit_workers({"m": [instance("a", 300), instance("b", 100)]}, samples=1000, sockets=200)
    assert [one.workers for one in fitted["m"]] == [150, 50]
    assert sentence is not None
    assert "400 requests" in sentence
    assert "at most 200" in sentence


def test_every_instance_keeps_a_worker() -> None:
    fitted, _ = fit_workers({"m": [instance("a", 500), instance("b", 1)]}, samples=1000, sockets=10)
    assert fitted["m"][1].workers == 1


def test_the_soft_limit_is_raised_as_far_as_it_may_be() -> None:
    code = (
        "import resource; from orchestrator.execution.alerts.open_files import raise_open_files, free_sockets\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256)); raise_open_files()\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE), 256 > free_sockets() > 150)"
    )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard >= 256
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["256", "256", "True"]
