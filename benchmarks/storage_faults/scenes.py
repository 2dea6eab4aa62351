"""The commands whose calls fail, and what is prepared for each."""

from __future__ import annotations

from collections.abc import Sequence

from .trial import CALM, Folder, Scene


def _nothing(_folder: Folder) -> None:
    return


def _whole(folder: Folder) -> None:
    folder.call(*folder.start())


def _half(folder: Folder) -> None:
    """Leave a run of which a part of the samples failed, and which a full disk stopped."""
    folder.call(*folder.start("--set", "providers.local.storm=1"), number=60, fault=(28, True))


def _damaged(folder: Folder) -> None:
    """Damage a byte of the results."""
    _whole(folder)
    path = sorted(folder.path.glob("runs/*/results/*[lt]"))[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    (folder.path / "damaged").touch()


def _on_run(*command: str) -> Scene:
    def arguments(folder: Folder) -> Sequence[str]:
        return [command[0], str(folder.run()), *command[1:]]

    if "--repair" in command:
        return Scene("resume --repair", arguments, _damaged)
    return Scene(command[0], arguments, _half if command[0] == "resume" else _whole)


SCENES = (
    Scene("run", lambda folder: folder.start(), _nothing),
    Scene("run with debug log", lambda folder: folder.start("--set", "run.debug_log=true"), _nothing),
    _on_run("resume", *CALM),
    _on_run("resume", "--repair", *CALM),
    _on_run("rescore", "--scorer", "exact"),
    _on_run("verify"),
    _on_run("status"),
    _on_run("export", "--format", "csv", "-o", "records.csv"),
    _on_run("report", "-o", "report.html"),
    Scene("limits clear", lambda _folder: ["limits", "clear"], _whole),
)
