"""What every test needs."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# looptime's plugin asks the policy for a loop in synchronous tests too; without one to make, none is left open.
asyncio.set_event_loop(None)


@pytest.fixture(autouse=True, scope="session")
def _no_state_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Learned limits and locks of the tests lie in a folder of their own."""
    before = os.environ.get("XDG_STATE_HOME")
    state = tmp_path_factory.mktemp("state")
    os.environ["XDG_STATE_HOME"] = str(state)
    yield state
    del os.environ["XDG_STATE_HOME"]
    if before is not None:
        os.environ["XDG_STATE_HOME"] = before
