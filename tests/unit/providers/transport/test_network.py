"""Which proxy lies between here and an address, and what of it may be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.errors import InputError
from providers.transport.network import Network, Proxy

NETWORK = Network(http_proxy="http://plain:3128", https_proxy="secure:3129")


@pytest.mark.parametrize(
    ("address", "shown"), [("http://a.example/v1", "http://plain:3128"), ("https://a.example", "http://secure:3129")]
)
def test_the_scheme_of_the_target_chooses_the_proxy(address: str, shown: str) -> None:
    proxy = NETWORK.proxy_for(address)
    assert proxy is not None
    assert proxy.shown == shown


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "localhost", "api.localhost", "[::1]"])
def test_this_machine_is_reached_without_a_proxy(host: str) -> None:
    assert NETWORK.proxy_for(f"http://{host}:8000/v1") is None


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("*", "a.example", True),
        ("a.example", "a.example", True),
        ("a.example", "x.a.example", True),
        (".a.example", "x.a.example", True),
        ("*.a.example", "x.a.example", True),
        ("a.example", "ba.example", False),
        ("A.Example", "a.example", True),
        ("b.example, a.example", "a.example", True),
        ("a.example:80", "a.example", True),
        ("a.example:81", "a.example", False),
        ("10.0.0.0/8", "10.2.3.4", True),
        ("10.0.0.0/8", "11.2.3.4", False),
        ("10.2.3.4:80", "10.2.3.4", True),
        ("fd00::/8", "[fd00::5]", True),
        ("", "a.example", False),
        (",,", "a.example", False),
    ],
)
def test_what_no_proxy_names_is_reached_directly(no_proxy: str, host: str, direct: bool) -> None:
    network = Network(http_proxy="http://plain:3128", no_proxy=no_proxy)
    assert (network.proxy_for(f"http://{host}/v1") is None) is direct


def test_a_proxy_s_password_is_sent_to_it_and_shown_to_nobody() -> None:
    network = Network(http_proxy="http://me:pl%40nted@plain:3128")
    proxy = network.proxy_for("http://a.example")
    assert proxy is not None
    assert proxy.authorization == "Basic bWU6cGxAbnRlZA=="
    assert proxy.shown == "http://plain:3128"
    assert "nted" not in f"{proxy!r} {network!r}"


@pytest.mark.parametrize("url", ["socks5://me:planted@h:1", "http://", "http://me:planted@h:port"])
def test_what_is_no_http_proxy_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InputError, match="HTTPS_PROXY") as caught:
        Network(https_proxy=url).proxy_for("https://a.example")
    assert "planted" not in str(caught.value)


def test_certificates_that_are_not_there_are_named_with_their_variable(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    Network(cert_file=str(tmp_path / "ca.pem"), cert_dir=str(tmp_path)).check_certificates()
    for variable, network in (
        ("SSL_CERT_FILE", Network(cert_file=str(tmp_path / "gone.pem"))),
        ("SSL_CERT_DIR", Network(cert_dir=str(tmp_path / "gone"))),
    ):
        with pytest.raises(InputError, match=variable):
            network.check_certificates()


def test_a_proxy_without_a_user_asks_for_nothing() -> None:
    assert Proxy("http://plain:3128", "HTTP_PROXY").authorization is None
