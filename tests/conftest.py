# SPDX-License-Identifier: Apache-2.0
"""What every test may lean on: a home that is not the user's, skips that say why, and a fresh, empty database on each of
the three servers. Fixtures of one room belong into that room's conftest, never here."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.lab import databases
from tests.lab.presence import missing

CHECKOUT = Path(__file__).resolve().parents[1]

#: Set for every process that a test run starts; tools/dev/leftovers.py finds by it what a run left behind.
RUN_MARK = "BREEZEBLOCK_TEST_RUN"

_HOMES = ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")


# A busy machine makes an example slow, not wrong; the time of tests is bounded in pyproject.toml.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("full", _PATIENT)
settings.register_profile("quick", _PATIENT, max_examples=20)
settings.load_profile("full")


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what it puts into the background with these ignored, and every child inherits that: Ctrl-C is tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ.setdefault(RUN_MARK, f"{CHECKOUT}:{os.getpid()}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("requires"):
        for wanted in mark.args:
            reason = missing(wanted)
            if reason:
                pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def environment_outside() -> Iterator[Mapping[str, str]]:
    """No test reads or writes the user's own files, nor follows the user's settings, nor meets a proxy on 127.0.0.1.
    The value is the environment as it was, for the few that install packages as the user would."""
    before = dict(os.environ)
    home = Path(tempfile.mkdtemp(prefix="home-"))  # short: sockets live under XDG_RUNTIME_DIR
    for name in _HOMES:
        folder = home if name == "HOME" else home / name.removeprefix("XDG_").split("_", 1)[0].lower()
        folder.mkdir(mode=0o700, exist_ok=True)
        os.environ[name] = str(folder)
    for name in before:
        ours = name.startswith("BREEZEBLOCK_") and not name.startswith("BREEZEBLOCK_TEST_")
        if ours or name.startswith("OS_") or name in {"SUDO_USER", "SUDO_UID", "SUDO_GID"}:
            del os.environ[name]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    yield before
    os.environ.clear()
    os.environ.update(before)
    shutil.rmtree(home)


@pytest.fixture
def requires() -> Callable[..., None]:
    """For what a test learns it needs only while it runs: requires("qemu-storage-daemon", "fuse")."""

    def require(*wanted: str) -> None:
        for one in wanted:
            reason = missing(one)
            if reason:
                pytest.skip(reason)

    return require


def _server(name: str) -> Iterator[str]:
    running = os.environ.get(f"BREEZEBLOCK_TEST_{name.upper()}")  # of `./dev lab`
    if running:
        yield running
        return
    reason = missing(name)
    if reason:
        pytest.skip(reason)
    # Tests kill our processes, never the machine: a server that skips fsync answers the same, sooner.
    with {"postgresql": databases.postgresql, "mariadb": databases.mariadb}[name](durable=False) as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    yield from _server("postgresql")


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[str]:
    yield from _server("mariadb")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'breezeblock.sqlite'}"


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    with databases.fresh_database(postgresql_server, f"t{uuid.uuid4().hex}") as url:
        yield url


@pytest.fixture
def mariadb_url(mariadb_server: str) -> Iterator[str]:
    with databases.fresh_database(mariadb_server, f"t{uuid.uuid4().hex}") as url:
        yield url


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.lab),
        pytest.param("mariadb", marks=pytest.mark.lab),
    ]
)
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, empty database; a test that asks for it runs on all three servers."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
