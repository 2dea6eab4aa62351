"""What is printed is lost where it cannot be written, and nothing else is."""

from __future__ import annotations

import io
import os

import pytest

from orchestrator.ui.lasting_output import _lasting


def test_a_sign_that_the_encoding_lacks_is_a_question_mark() -> None:
    reader, writer = os.pipe()
    stream = _lasting(io.TextIOWrapper(io.BytesIO(), "ascii"), writer, "the pipe")
    stream.write("算术 42\ud83d\n")
    stream.flush()
    assert os.read(reader, 100) == b"?? 42?\n"
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("target", ["a closed pipe", "/dev/full"])
def test_what_cannot_be_written_goes_to_the_null_device(target: str, capfd: pytest.CaptureFixture[str]) -> None:
    if target == "/dev/full":
        writer = os.open(target, os.O_WRONLY)
    else:
        reader, writer = os.pipe()
        os.close(reader)
    stream = _lasting(None, writer, "standard output")
    for _ in range(3):
        stream.write("text\n")
        stream.flush()
    assert os.path.samestat(os.fstat(writer), os.stat(os.devnull))  # noqa: PTH116 - compared with a descriptor
    os.close(writer)
    said = capfd.readouterr().err
    assert said == (
        "what is printed is lost from here on (standard output: No space left on device)\n" if "full" in target else ""
    )
