"""No planted key stands in any byte that a run writes or prints, whatever the provider says of it."""

from __future__ import annotations

import asyncio
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import TYPE_CHECKING, Any
from zlib import crc32

import orjson
import pytest
from aiohttp import web

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Done, Program, Provider

Sweep = Callable[..., dict[str, Any]]

QUIET = ("--no-stagger", "--display", "none")


def require_nothing_planted(program: Program, books: Books, secrets: list[str], *ended: Done) -> None:
    """Search every byte in the folder, names included, every record (Parquet is compressed), and all output."""
    rows = [str(row) for manifest in program.folder.rglob("manifest.json") for row in books.rows(manifest.parent)]
    for secret in secrets:
        assert [path for path in program.folder.rglob("*") if secret in path.name] == []
        holds = [path for path in program.folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
        assert holds == []
        assert [row for row in rows if secret in row] == []
        assert [done for done in ended if secret in done.out + done.err] == []


@pytest.mark.parametrize(
    ("transport", "form"), [("native", "parquet"), pytest.param("sdk", "json", marks=pytest.mark.matrix)]
)
def test_a_run_its_plan_its_status_and_its_doctor_show_no_key(
    program: Program, sweep: Sweep, provider: Provider, books: Books, transport: str, form: str
) -> None:
    sections = sweep(program.folder)
    sections["providers"] = provider.settings(transport=transport)
    routes = [{"provider": "east", "deployments": ["m-1", "m-2"]}, {"provider": "gate"}]
    program.write({**sections, "models": {"m": {"routes": routes}}, "run": {"storage_format": form}})
    program.variables = {**provider.secrets, "DEBUG_LOG": "true"}
    (program.folder / "hear.py").write_text("import sys; open('heard.jsonl', 'a').write(sys.stdin.read())")
    done = program.run("sweep.yaml", "--notify", f"{sys.executable} hear.py", "--rehearse")
    assert done.code == 0
    assert "run_finished" in (program.folder / "heard.jsonl").read_text()
    path = program.path(done)
    books.require_each_once(path, 20)
    others = [
        program(*arguments)
        for arguments in (
            ("plan", "sweep.yaml"),
            ("plan", "sweep.yaml", "--json", "--rehearse"),
            ("doctor", "sweep.yaml"),
            ("doctor", "sweep.yaml", "--json"),
            ("resume", path, *QUIET),
            ("status", path, "--json"),
            ("report", path),
            ("report", path, "--format", "json"),
            ("limits", "show", "--json"),
            *(("export", path, "-o", f"out.{form}") for form in ("csv", "jsonl", "parquet")),
        )
    ]
    assert {one.code for one in others} == {0}
    require_nothing_planted(program, books, list(provider.secrets.values()), done, *others)


@pytest.mark.matrix
def test_a_revoked_key_is_not_shown_by_what_is_said_of_it(
    program: Program, sweep: Sweep, provider: Provider, books: Books
) -> None:
    sections = sweep(program.folder)
    gateway = {"type": "gateway", "base_url": f"{provider.url}/v1", "api_key_envs": ["PLANTED_WRONG"]}
    program.write({**sections, "providers": {"gate": gateway}, "models": {"m": {"provider": "gate"}}})
    program.variables = {"PLANTED_WRONG": "planted-wrong-31f7", "DEBUG_LOG": "true"}
    done, checked = program.run("sweep.yaml"), program("doctor", "sweep.yaml", "--json")
    assert (done.code, checked.code) == (4, 4)
    assert "(HTTP 401)" in done.out
    require_nothing_planted(program, books, ["planted-wrong-31f7"], done, checked)


@pytest.mark.parametrize("place", ["api_key_env", "api_key", "endpoint"])
def test_a_key_typed_into_the_file_is_not_repeated(program: Program, sweep: Sweep, place: str) -> None:
    azure = {"type": "azure", "endpoint": "https://x.invalid", "api_key_env": "K", place: ["sk-planted-typed-77"]}
    program.write({**sweep(program.folder), "providers": {"sim": azure}})
    done = program("run", "sweep.yaml")
    assert done.code == 2
    assert "planted-typed" not in done.out + done.err


@pytest.mark.matrix
@pytest.mark.parametrize(
    "flag",
    [
        "providers.sim.endpoint=https://user:sk-planted-typed-77@x.invalid",
        "providers.sim.endpoint=https://x.invalid?api-key=sk-planted-typed-77",
        "providers.sim.api_key=sk-planted-typed-77",
        "providers.sim.api_key_env=sk-planted-typed-77-4a5b6c7d8e9f",
        "providers.sim.endpoint=[sk-planted-typed-77",
        "generation.extra_body.api_key=sk-planted-typed-77",
        "generation.extra_body.Authorization=Bearer sk-planted-typed-77",
        "generation.extra_body.note=of the variable K, planted-in-the-variable-77",
        "run.notify=true planted-in-the-variable-77",
    ],
)
def test_a_key_typed_into_a_setting_is_refused_and_not_repeated(program: Program, sweep: Sweep, flag: str) -> None:
    azure = {"type": "azure", "endpoint": "https://x.invalid", "api_key_env": "K"}
    program.write({**sweep(program.folder), "providers": {"sim": azure}})
    program.variables = {"K": "planted-in-the-variable-77", "DEBUG_LOG": "true"}
    done = program("run", "sweep.yaml", "--set", flag)
    assert done.code == 2
    assert "planted" not in done.out + done.err
    assert done.err.count("\n") == 1
    assert not (program.folder / "runs").exists()


@pytest.mark.matrix
def test_a_key_in_a_dotenv_file_stays_there_and_others_must_not_read_it(
    program: Program, sweep: Sweep, provider: Provider, books: Books
) -> None:
    dotenv = program.folder / ".env"
    dotenv.write_text(f"PLANTED_AZURE={provider.secrets['PLANTED_AZURE']}\n")
    dotenv.chmod(0o644)
    sections = sweep(program.folder)
    sections["providers"] = {"east": provider.settings()["east"]}
    sections["models"] = {"m": {"provider": "east", "deployments": ["m-1", "m-2"]}}
    program.write(sections)
    done, checked = program.run("sweep.yaml"), program("doctor", "sweep.yaml")
    warning = f"warning: {dotenv} can be read by others; run: chmod 600 {dotenv}"
    assert (done.code, checked.code) == (0, 0)
    assert (done.err.count(warning), checked.err.count(warning)) == (1, 1)
    dotenv.unlink()
    require_nothing_planted(program, books, [provider.secrets["PLANTED_AZURE"]], done, checked)


# ------------------------------------------------------------------ a provider that repeats the key
@pytest.fixture
async def parrot() -> AsyncIterator[str]:
    """Repeats the key that it was called with: in errors of every kind, in headers, in truncated and well-formed bodies."""
    number = count()

    async def answer(request: web.Request) -> web.Response:
        own, signed = request.headers.get("x-planted"), request.headers.get("api-key")
        key = own or signed or request.headers["Authorization"].removeprefix("Bearer ")
        said = {"error": {"message": f"your key {key} is not liked", "code": None, "param": key}}
        headers = {"x-request-id": key, "x-said": f"Bearer {key}"}
        if "revoked" in key:
            return web.json_response(said, status=401, headers=headers)
        digest = crc32(orjson.dumps(orjson.loads(await request.read())["messages"]))
        kind = 1 if digest % 6 == 0 else next(number) % 8  # some samples are refused wherever they go
        if kind == 0:
            return web.json_response(said, status=500, headers=headers)
        if kind == 1:  # in other words each time: refused alike, the instance would be out
            said["error"]["type"] = "".join("abcdefghij"[int(digit)] for digit in str(digest))
            said["error"]["message"] = f"your key {key} is not liked, {said['error']['type']}"
            return web.json_response(said, status=400, headers=headers)
        if kind == 2:
            return web.Response(body=b'{"choices": ["' + key.encode(), content_type="application/json")
        if kind == 3:
            return web.Response(text=f"<html>{key}</html>", status=503, content_type="text/html")
        if kind == 4:
            return web.json_response(said, status=429, headers={**headers, "retry-after-ms": "1"})
        if kind == 5:
            return web.json_response(completion(key), headers=headers)
        if kind == 6:
            return web.Response(text=orjson.dumps(said).decode().replace("/", "\\/"), status=500, headers=headers)
        return web.json_response(
            {**completion(key, f"You gave me {' '.join(spelt(key))}"), "model": key, "id": key}, headers=headers
        )

    site = web.Application()
    site.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(site, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def spelt(key: str) -> list[str]:
    """A key as a server may repeat it."""
    return [key, key.upper(), key[::-1], b64encode(key.encode()).decode(), b64encode(f"Bearer {key}".encode()).decode()]


def require_masked_answers(rows: list[dict[str, Any]]) -> None:
    answers = [row["output_text"] for row in rows if row["output_text"] is not None]
    assert answers
    assert all(text.startswith("You gave me *** *** *** ***") and text.count("***") == 5 for text in answers)


def completion(key: str, content: str = "") -> dict[str, Any]:
    """By default an empty answer, which an error keeps as its evidence."""
    message = {"role": "assistant", "content": content}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m",
        "provider_note": key,
        "choices": [{"index": 0, "message": message, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


@pytest.mark.matrix
@pytest.mark.parametrize("transport", ["native", "sdk"])
async def test_a_provider_that_repeats_the_key_is_not_quoted(
    program: Program, sweep: Sweep, books: Books, parrot: str, transport: str
) -> None:
    secrets = {"PLANTED_GOOD": "planted/good+5501==", "PLANTED_GONE": "planted-revoked-9a02"}
    sections = sweep(program.folder, tasks=60)
    gateway = {"type": "gateway", "base_url": f"{parrot}/v1", "api_key_envs": list(secrets), "transport": transport}
    azure = {"type": "azure", "endpoint": parrot, "api_key_env": "PLANTED_GOOD", "transport": transport}
    sections["providers"] = {"gate": gateway, "east": azure}
    sections["models"] = {"m": {"routes": [{"provider": "gate"}, {"provider": "east", "deployments": ["m"]}]}}
    program.write(sections)
    program.variables = {**secrets, "DEBUG_LOG": "true"}
    done = await finish(program, "run", "sweep.yaml", "--max-retries", 0, *QUIET)
    assert done.code == 1
    rows = books.rows(program.path(done))
    assert len(rows) == 60
    assert {"server_error", "malformed", "refused", "length"} <= {row["error_class"] for row in rows}
    assert any("not liked" in row["raw_response"] for row in rows if row["raw_response"])
    require_masked_answers(rows)
    echoed = [form[:20] for secret in secrets.values() for form in spelt(secret)]
    require_nothing_planted(program, books, [*secrets.values(), *echoed, r"planted\/good+5501=="], done)


@pytest.mark.matrix
@pytest.mark.parametrize("transport", ["native", "sdk"])
async def test_a_provider_that_repeats_a_secret_header_is_not_quoted(
    program: Program, sweep: Sweep, books: Books, parrot: str, transport: str
) -> None:
    secrets = {"PLANTED_GOOD": "planted/good+5501==", "PLANTED_HEADER": "planted/header+77=="}
    sections = sweep(program.folder, tasks=40)
    entry = {"type": "openai", "base_url": f"{parrot}/v1", "api_key_env": "PLANTED_GOOD", "transport": transport}
    sections["providers"] = {"own": {**entry, "header_envs": {"X-Planted": "PLANTED_HEADER"}}}
    sections["models"] = {"m": {"provider": "own"}}
    program.write(sections)
    missing = await finish(program, "run", "sweep.yaml", *QUIET)
    assert missing.code == 2
    assert "PLANTED_GOOD, PLANTED_HEADER are not set" in missing.err
    program.variables = {**secrets, "DEBUG_LOG": "true"}
    done = await finish(program, "run", "sweep.yaml", "--max-retries", 0, *QUIET)
    assert done.code == 1
    rows = books.rows(program.path(done))
    require_masked_answers(rows)
    require_nothing_planted(program, books, [*secrets.values(), r"planted\/header+77=="], done)


async def finish(program: Program, *arguments: object) -> Done:
    """Without blocking the loop that the provider answers on."""
    return await asyncio.to_thread(program, *arguments)
