# SPDX-License-Identifier: Apache-2.0
"""A service with its truth, and the few things that every case begins with: volumes with known bytes, snapshots, attached volumes. Objects
are found by name, because a service that was killed may not have said their ids."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.crash import content
from tests.crash.api import Api, Gone, Refused
from tests.crash.service import Service
from tests.crash.truth import Truth

SETTLE_SECONDS = 60.0


class World:
    def __init__(self, service: Service) -> None:
        self.service = service
        service.start()
        self.truth = Truth(f"sqlite:///{service.data / 'breezeblock.sqlite'}", service.volumes, service.data)
        self._numbers = itertools.count(1)
        #: faults that every start of the service begins with, until `mend`.
        self.faults: list[Mapping[str, Any]] = []

    def close(self) -> None:
        self.truth.close()
        self.service.kill()

    @property
    def api(self) -> Api:
        return self.service.api

    @property
    def backend(self) -> Path:
        return self.service.volumes

    # -- what cases begin with -------------------------------------------------------------------------------------

    def tag(self) -> int:
        """A byte value for a block: never 0, seldom the same."""
        return next(self._numbers) % 250 + 1

    def volume(self, tag: int = 0, **more: Any) -> str:
        """A new volume's id; `tag` fills its first block."""
        id = str(self.api.create_volume(f"v{next(self._numbers)}", **more)["id"])
        self._succeeded()
        if tag:
            content.write(self.layer(f"volume-{id}"), tag)
        return id

    def snapshot(self, volume_id: str) -> str:
        id = str(self.api.create_snapshot(volume_id, f"s{next(self._numbers)}")["id"])
        self._succeeded()
        return id

    def attach(self, volume_id: str) -> str:
        """The device."""
        attachment = self.api.attach(volume_id)
        self._succeeded()
        return self.api.device(attachment)

    def _succeeded(self) -> None:
        found = self.api.finished()
        assert found["state"] == "succeeded", found

    # -- acting ----------------------------------------------------------------------------------------------------

    def attempt(self, act: Callable[[], Any]) -> bool:
        """Do it; the service may die meanwhile, or refuse in the end what it began. True: it answered."""
        try:
            act()
        except Gone:
            return False
        except Refused:
            if not self.faults:
                raise
        return True

    def round(self, name: str) -> None:
        """What comes round ("look", "watch", "tidy", "report"), now."""
        try:
            self.service.tell(round=name)
        except (OSError, ValueError) as error:
            raise Gone(str(error)) from error

    def recover(self, arm: str = "", nth: int = 1) -> bool:
        """Start again; armed: True when it died once more."""
        self.service.start(arm, nth, self.faults)
        return bool(arm) and not (self.outlived(grace=0.0) and self.service.disarm())

    def outlived(self, grace: float) -> bool:
        """Waits until every operation has ended (True) or the armed service has died (False). `grace`: seconds in which it may still
        reach the point after the end of the operation."""
        limit = time.monotonic() + SETTLE_SECONDS
        while self.service.ended(0.0) is None:
            if not self.truth.busy():
                return self.service.ended(grace) is None
            assert time.monotonic() < limit, f"neither dead nor done: {self.truth.rows().unfinished}"
            time.sleep(0.005)
        return False

    @contextlib.contextmanager
    def failing(self, faults: Sequence[Mapping[str, Any]]) -> Iterator[None]:
        """Planned now and at each start inside the block; gone afterwards."""
        self.faults = list(faults)
        if faults and self.service.pid is not None:
            self.service.plan(*faults)
        try:
            yield
        finally:
            self.faults = []
            if faults and self.service.pid is not None:
                self.service.tell(mend=True)

    # -- looking ---------------------------------------------------------------------------------------------------

    def layer(self, name: str) -> Path:
        return content.layer_of(self.backend, name)

    def shows(self, name: str, tag: int, at: int = 0) -> bool:
        """Does "volume-ID" or "snapshot-ID" hold the tag?"""
        return content.holds(self.layer(name), tag, at)

    def named(self, name: str) -> dict[str, Any] | None:
        """The volume or snapshot of that name."""
        found = [one for one in (*self.api.volumes(), *self.api.snapshots()) if one["name"] == name]
        assert len(found) <= 1, found
        return found[0] if found else None

    def fresh_name(self) -> str:
        return f"n{next(self._numbers)}"

    # -- the end of a case -----------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Delete everything by the API; nothing may be left anywhere."""
        for attachment in self.api.attachments():
            try:
                self.api.detach(attachment["volume_id"])
            except Refused:
                self.api.delete_attachment(attachment["id"])
        self.truth.settled(SETTLE_SECONDS)
        for attachment in self.api.attachments():  # a broken device: what it had not flushed is lost
            self.api.detach(attachment["volume_id"], force=True)
        self.truth.settled(SETTLE_SECONDS)
        for volume in self.api.volumes():
            try:
                self.api.delete_volume(volume["id"], cascade=True)
            except Refused:
                self.api.action("volumes", volume["id"], "os-force_delete")
        self.truth.settled(SETTLE_SECONDS)
        problems = self.truth.problems()
        tree = self.truth.tree()
        assert not problems and not tree.layers and not tree.names, (problems, tree)
        self.round("report")
        assert self.truth.count_reservations() == 0, "space is still promised to what has ended"
