# SPDX-License-Identifier: Apache-2.0
"""A service without authentication is for programs of this machine, not for the pages that its browser shows."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.process.served import Served, served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("open")
    config = folder / "breezeblock.toml"
    config.write_text('[auth]\nmode = "none"\n')
    with served(folder / "data", "--config", str(config)) as found:
        yield found


def ask(service: Served, headers: Mapping[str, str], method: str = "GET") -> int:
    endpoint = urlsplit(service.credentials["endpoint"])
    connection = http.client.HTTPConnection(endpoint.hostname or "", endpoint.port, timeout=20)
    try:
        body = b'{"volume": {"size": 1}}' if method == "POST" else None
        connection.request(method, "/v3/volumes", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1:8776", "localhost", "LOCALHOST:1", "[::1]:8776", "127.1.2.3"])
def test_programs_of_this_machine_are_served(service: Served, host: str) -> None:
    assert ask(service, {"Host": host}) == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8776", "127.0.0.1.evil.example", "localhost.evil", "", "127.0.0.1@evil"]
)
def test_a_name_that_was_bound_to_this_machine_is_not(service: Served, host: str) -> None:
    assert ask(service, {"Host": host}) == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8776"])
def test_what_a_page_sends_is_refused_before_it_does_anything(service: Served, origin: str) -> None:
    assert ask(service, {"Host": "127.0.0.1:8776", "Origin": origin}, "POST") == 403
    assert service.ask("GET", "/v3/volumes", token="")[1] == {"volumes": []}


def test_with_a_token_a_proxys_name_and_an_origin_are_nobodys_business(tmp_path: Path) -> None:
    with served(tmp_path / "data") as found:
        token = {"X-Auth-Token": found.credentials["token"]}
        assert ask(found, {"Host": "storage.example", "Origin": "https://dashboard.example", **token}) == 200
