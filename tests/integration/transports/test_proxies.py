"""Requests go through the proxy that the environment names, by both transports, and a key never reaches it in clear."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
import uvloop

from orchestrator.config.environment import Environment
from providers.adapters.registry import AdapterContext
from providers.errors import Unreachable
from tests.integration.faults.answers import completion
from tests.integration.transports.test_addresses import SURROUNDINGS, ask, open_adapter
from tests.integration.transports.test_transport_conformance import ScriptedServer, json_answer

if TYPE_CHECKING:
    from tests.integration.conftest import Program

HOST = "api.example.invalid"
"""Nobody but the proxy knows it."""
TRANSPORTS = ("native", "sdk")


@dataclass
class RecordingProxy:
    """Passes every request on to the same server, and remembers all that it was sent in clear."""

    target: int
    is_closed: bool = False
    seen: list[bytes] = field(default_factory=list)
    port: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.seen.append(head)
        if self.is_closed:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        if head.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            there_writer.write(head)
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@dataclass
class Site:
    """A server that only a proxy reaches."""

    server: ScriptedServer
    proxy: RecordingProxy
    certificates: str
    pem: str

    def variables(self, **more: str) -> dict[str, str]:
        url = f"http://me:planted@127.0.0.1:{self.proxy.port}"
        return {"HTTP_PROXY": url, "HTTPS_PROXY": url, "SSL_CERT_FILE": self.certificates, **more}


async def open_site(folder: Path, is_https: bool) -> tuple[Site, list[asyncio.Server]]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if is_https else None
    if context:
        authority.issue_cert(HOST).configure_cert(context)
    server = ScriptedServer(script=json_answer(completion()))
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=context)
    proxy = RecordingProxy(listener.sockets[0].getsockname()[1])
    way = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.port = way.sockets[0].getsockname()[1]
    return Site(server, proxy, str(folder / "ca.pem"), authority.cert_pem.bytes().decode()), [listener, way]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    active, listeners = await open_site(tmp_path, is_https=False)
    yield active
    for listener in listeners:
        listener.close()


@pytest.fixture
async def secure_site(tmp_path: Path) -> AsyncIterator[Site]:
    active, listeners = await open_site(tmp_path, is_https=True)
    yield active
    for listener in listeners:
        listener.close()


def adapter_context(variables: Mapping[str, str]) -> AdapterContext:
    return AdapterContext(key=SURROUNDINGS.key, network=Environment(variables).network())


def entry(scheme: str, transport: str, host: str = HOST) -> dict[str, object]:
    return {"type": "openai", "base_url": f"{scheme}://{host}/v1", "api_key_env": "KEY", "transport": transport}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_key_goes_through_a_tunnel_and_the_proxy_never_sees_it(secure_site: Site, transport: str) -> None:
    answer = await ask(open_adapter(entry("https", transport), adapter_context(secure_site.variables())))
    assert answer.text == "42"
    assert secure_site.server.header("authorization") == "Bearer secret-of-KEY-0123456789"
    assert secure_site.server.header("proxy-authorization") is None
    assert uuid.UUID(secure_site.server.header("x-request-id")).version == 5
    assert "sample/1/1" not in secure_site.server.heads[-1]  # only a simulator may know, and none is so far away
    (head,) = secure_site.proxy.seen
    assert head.startswith(f"CONNECT {HOST}:443 ".encode())
    assert b"proxy-authorization: basic bwu6cgxhbnrlza==" in head.lower()
    assert b"secret" not in head
    assert b"/v1" not in head


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_proxy_that_speaks_tls_itself_opens_a_tunnel(
    run: Callable[[Coroutine[Any, Any, None]], None], tmp_path: Path
) -> None:
    """TLS with the server inside of TLS with the proxy, on both loops."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    contexts = {name: ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) for name in (HOST, "127.0.0.1")}
    for name, context in contexts.items():
        authority.issue_cert(name).configure_cert(context)

    async def main() -> None:
        server = ScriptedServer(script=json_answer(completion()))
        listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=contexts[HOST])
        proxy = RecordingProxy(listener.sockets[0].getsockname()[1])
        way = await asyncio.start_server(proxy.handle, "127.0.0.1", 0, ssl=contexts["127.0.0.1"])
        url = f"https://me:planted@127.0.0.1:{way.sockets[0].getsockname()[1]}"
        variables = {"HTTPS_PROXY": url, "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
        answer = await ask(open_adapter(entry("https", "native"), adapter_context(variables)))
        assert answer.text == "42"
        assert proxy.seen[0].startswith(f"CONNECT {HOST}:443 ".encode())
        listener.close()
        way.close()

    run(main())


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_without_tls_the_proxy_gets_the_whole_address(site: Site, transport: str) -> None:
    answer = await ask(open_adapter(entry("http", transport), adapter_context(site.variables())))
    assert answer.text == "42"
    assert site.proxy.seen[0].startswith(f"POST http://{HOST}/v1/chat/completions ".encode())
    assert b"proxy-authorization: basic bwu6cgxhbnrlza==" in site.proxy.seen[0].lower()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY"])
async def test_both_spellings_of_a_variable_are_obeyed(secure_site: Site, transport: str, name: str) -> None:
    url = f"http://127.0.0.1:{secure_site.proxy.port}"
    variables = {name: url, "SSL_CERT_FILE": secure_site.certificates}
    await ask(open_adapter(entry("https", transport), adapter_context(variables)))
    assert len(secure_site.proxy.seen) == 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="only the openssl program knows how such a folder is named")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_certificates_in_a_folder_are_trusted(secure_site: Site, transport: str, tmp_path: Path) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    pem = secure_site.pem
    variables = secure_site.variables(SSL_CERT_DIR=str(folder))
    del variables["SSL_CERT_FILE"]
    with pytest.raises(Unreachable, match="not trusted"):
        await ask(open_adapter(entry("https", transport), adapter_context(variables)))
    (folder / f"{subject_hash(pem)}.0").write_text(pem)
    assert (await ask(open_adapter(entry("https", transport), adapter_context(variables)))).text == "42"


def subject_hash(pem: str) -> str:
    """The name under which OpenSSL looks for a certificate in a folder."""
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-subject_hash"], input=pem, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_host_of_no_proxy_and_this_machine_are_reached_directly(site: Site, transport: str) -> None:
    here = f"127.0.0.1:{site.proxy.target}"
    assert (await ask(open_adapter(entry("http", transport, here), adapter_context(site.variables())))).text == "42"
    past = adapter_context(site.variables(NO_PROXY="other.example, .example.invalid"))
    with pytest.raises(Unreachable, match="DNS"):
        await ask(open_adapter(entry("http", transport), past))
    assert site.proxy.seen == []


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_proxy_that_refuses_is_named_and_its_password_is_not(secure_site: Site, transport: str) -> None:
    secure_site.proxy.is_closed = True
    with pytest.raises(Unreachable, match=r"proxy refuses.*407.*HTTPS_PROXY") as caught:
        await ask(open_adapter(entry("https", transport), adapter_context(secure_site.variables())))
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_proxy_that_is_not_there_is_named(site: Site, transport: str) -> None:
    variables = {"HTTP_PROXY": "http://me:planted@127.0.0.1:9"}
    with pytest.raises(Unreachable, match=r"no connection to the proxy 127\.0\.0\.1:9") as caught:
        await ask(open_adapter(entry("http", transport), adapter_context(variables)))
    assert "planted" not in str(caught.value)


async def test_doctor_shows_the_proxy_and_the_certificates(
    secure_site: Site, program: Program, sweep: Any, tmp_path: Path
) -> None:
    sections = sweep(program.folder)
    sections["providers"]["far"] = {"type": "openai", "base_url": f"https://{HOST}/v1"}
    sections["models"]["far"] = {"provider": "far"}
    program.write(sections)
    program.variables = secure_site.variables()
    done = await asyncio.to_thread(program, "doctor", "sweep.yaml")
    assert done.code == 0
    port, file = secure_site.proxy.port, secure_site.certificates
    assert f"far/far: through http://127.0.0.1:{port} (HTTPS_PROXY), certificates of {file} (SSL_CERT_FILE)" in done.out
    assert "planted" not in done.out + done.err
    assert all(head.startswith(b"CONNECT") for head in secure_site.proxy.seen)  # the simulator is reached without it
