# SPDX-License-Identifier: Apache-2.0
"""An application over a real store (SQLite) without an engine: what operations would do outside does not happen here, and a call that
waits for one gets the answer that the test prepared."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from breezeblock.api.app import Api, build
from breezeblock.api.auth import ADMIN_ROLES, LocalTokens
from breezeblock.api.services import Facts, Services
from breezeblock.model.identity import Caller
from breezeblock.model.operation import Operation
from breezeblock.store import history
from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import TOKEN, Client

#: token -> roles of a caller of the project.
ROLES = {
    "member": frozenset({"member", "reader"}),
    "reader": frozenset({"reader"}),
    "nobody": frozenset[str](),
}


@pytest.fixture(scope="session")
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its schema, default rows and one backend; every test gets a copy."""
    return rows.prepared(tmp_path_factory.mktemp("api") / "prepared.sqlite")


@pytest.fixture
def store(_prepared: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(_prepared, tmp_path / "api.sqlite")
    store = Store(f"sqlite:///{tmp_path / 'api.sqlite'}", threads=2)
    yield store
    store.close()


class Engine:
    """Stands for the engine: `ends` says how the operation that a call waits for ends (None: not in time)."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ends: Callable[[str], None] | None = None
        self.waited: list[str] = []

    async def wait(self, operation_id: str, seconds: float) -> Operation | None:
        self.waited.append(operation_id)
        if self.ends is not None:
            await asyncio.to_thread(self.ends, operation_id)
        return await self.store.read(lambda tx: history.get(tx, operation_id, None))


@pytest.fixture
def engine(store: Store) -> Engine:
    return Engine(store)


@pytest.fixture
def callers() -> dict[str, Caller]:
    found = {TOKEN: Caller(user_id=rows.USER, project_id=rows.PROJECT, roles=ADMIN_ROLES, is_admin=True)}
    for name, roles in ROLES.items():
        found[name] = Caller(user_id=rows.USER, project_id=rows.PROJECT, roles=roles)
    found["stranger"] = Caller(user_id="d" * 32, project_id=rows.OTHER_PROJECT, roles=ROLES["member"])
    return found


@pytest.fixture
def services(store: Store, engine: Engine, callers: dict[str, Caller]) -> Services:
    return Services(
        store=store,
        authenticator=LocalTokens(callers),
        facts=Facts(version="0.1.0", host="here", connect_seconds=5.0),
        wait=engine.wait,
        changed=engine.wait,
    )


@pytest.fixture
def api(services: Services) -> Api:
    return build(services)


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    """Of the administrator."""
    with asyncio.Runner() as runner:
        yield Client(api, runner)


@pytest.fixture
def member(client: Client) -> Client:
    return client.as_token("member")


@pytest.fixture
def reader(client: Client) -> Client:
    return client.as_token("reader")


@pytest.fixture
def stranger(client: Client) -> Client:
    """A member of another project."""
    return client.as_token("stranger")
