# SPDX-License-Identifier: Apache-2.0
"""Verbs of the API at random, the service killed at random among and inside them, each step compared with the model and with the truth
(tests/crash/truth.py). A rule's `fuse` is the number of kill points after which the service dies in the middle of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.crash import content
from tests.crash.api import CONNECTOR, Gone, Refused
from tests.crash.points import ANY
from tests.crash.world import SETTLE_SECONDS, World
from tests.stateful.model import Attachment, Model, Snapshot, Volume

#: Enough for every kind of relation, few enough to be quick.
MOST = 4

PICK = st.integers(0, MOST - 1)
FUSE = st.one_of(st.none(), st.integers(1, 12))


def _has_volumes(machine: Machine) -> bool:
    return bool(machine.model.volumes)


def _has_room(machine: Machine) -> bool:
    return len(machine.model.volumes) < MOST


def _has_snapshots(machine: Machine) -> bool:
    return bool(machine.model.snapshots)


def _has_attachments(machine: Machine) -> bool:
    return any(volume.attachments for volume in machine.model.volumes.values())


class Machine(RuleBasedStateMachine):
    def __init__(self, world: World, grows_attached: bool, told: Counter[str]) -> None:
        super().__init__()
        self.world, self.model, self._told = world, Model(grows_attached), told
        self.world.clear()

    # -- how a step is taken ---------------------------------------------------------------------------------------

    def act(self, call: Callable[[], Any], fuse: int | None, *, starts: bool, what: str) -> Any:
        """The answer (None when it never came). Fails when the service accepts what the model refuses, or the other way round."""
        service = self.world.service
        if fuse is not None and starts:
            service.arm(ANY, fuse)
        answer, refused = None, None
        try:
            answer = call()
        except Gone:
            pass
        except Refused as error:
            refused = error
        assert (refused is None) == starts, f"{what}: the model says {starts}, the service {refused or 'yes'}"
        verb = what.split()[0]
        self._told[f"{verb} {'done' if starts else 'refused'}"] += 1
        if fuse is not None and starts and self._after_fuse():
            self._told[f"{verb} killed"] += 1
        self.world.truth.settled(SETTLE_SECONDS)
        return answer

    def _after_fuse(self) -> bool:
        """Until the operation has ended or the service has died of it; then it runs again. True: it had died."""
        if self.world.outlived(grace=0.05) and self.world.service.disarm():
            return False
        self.world.recover()
        return True

    def pick(self, index: int) -> Volume:
        found = list(self.model.volumes.values())
        return found[index % len(found)]

    def pick_snapshot(self, index: int) -> Snapshot:
        found = list(self.model.snapshots.values())
        return found[index % len(found)]

    def pick_attachment(self, index: int) -> tuple[Volume, Attachment]:
        found = [(v, a) for v in self.model.volumes.values() for a in v.attachments.values()]
        return found[index % len(found)]

    @initialize(volumes=st.integers(1, 2))
    def begin(self, volumes: int) -> None:
        for _ in range(volumes):
            self._made(None, starts=True, size=1, tag=0)

    # -- volumes ---------------------------------------------------------------------------------------------------

    def _made(self, fuse: int | None, *, starts: bool, size: int, tag: int, **source: Any) -> None:
        name = self.world.fresh_name()
        self.act(
            lambda: self.world.api.create_volume(name, None if source else size, **source),
            fuse,
            starts=starts,
            what=f"create from {source}",
        )
        if starts:
            found = self.world.named(name)
            assert found is not None and found["status"] == "available", found
            self.model.volumes[found["id"]] = Volume(found["id"], size, tag)

    @precondition(_has_room)
    @rule(fuse=FUSE)
    def create(self, fuse: int | None) -> None:
        self._made(fuse, starts=True, size=1, tag=0)

    @precondition(lambda self: _has_room(self) and _has_snapshots(self))
    @rule(index=PICK, fuse=FUSE)
    def create_from_snapshot(self, index: int, fuse: int | None) -> None:
        of = self.pick_snapshot(index)
        starts = of.status == "available"
        self._made(fuse, starts=starts, size=of.size, tag=of.tag, snapshot_id=of.id)

    @precondition(lambda self: _has_room(self) and _has_volumes(self))
    @rule(index=PICK, fuse=FUSE)
    def clone(self, index: int, fuse: int | None) -> None:
        of = self.pick(index)
        starts = self.model.starts("clone", of)
        self._made(fuse, starts=starts, size=of.size, tag=of.tag, source_volid=of.id)

    @precondition(_has_volumes)
    @rule(index=PICK, cascade=st.booleans(), fuse=FUSE)
    def delete(self, index: int, cascade: bool, fuse: int | None) -> None:
        volume = self.pick(index)
        starts = self.model.may_delete(volume, cascade=cascade)
        self.act(
            lambda: self.world.api.delete_volume(volume.id, cascade=cascade),
            fuse,
            starts=starts,
            what=f"delete {volume}",
        )
        if starts:
            for snapshot in self.model.snapshots_of(volume):
                del self.model.snapshots[snapshot.id]
            del self.model.volumes[volume.id]

    @precondition(_has_volumes)
    @rule(index=PICK, fuse=FUSE)
    def extend(self, index: int, fuse: int | None) -> None:
        volume = self.pick(index)
        starts = self.model.may_extend(volume)
        self.act(
            lambda: self.world.api.extend(volume.id, volume.size + 1),
            fuse,
            starts=starts,
            what=f"extend {volume}",
        )
        volume.size += starts

    @precondition(_has_volumes)
    @rule(index=PICK)
    def write(self, index: int) -> None:
        """As a guest, or as somebody with the detached volume's file."""
        volume, tag = self.pick(index), self.world.tag()
        if volume.device:
            content.write_device(volume.device, tag)
        elif not volume.attachments:
            content.write(self.world.layer(f"volume-{volume.id}"), tag)
        else:
            return
        volume.tag = tag

    @precondition(_has_volumes)
    @rule(index=PICK, key=st.sampled_from(["a", "b"]), value=st.text("xyz", max_size=3))
    def set_metadata(self, index: int, key: str, value: str) -> None:
        volume = self.pick(index)
        self.world.api.call("POST", f"/volumes/{volume.id}/metadata", {"metadata": {key: value}})
        volume.metadata[key] = value

    @precondition(_has_volumes)
    @rule(index=PICK, status=st.sampled_from(["error", "available", "error_extending"]))
    def reset_status(self, index: int, status: str) -> None:
        """Only of a volume that nobody is attached to: what a reset makes of attachments is an administrator's own affair."""
        volume = self.pick(index)
        if not volume.attachments:
            self.world.api.action("volumes", volume.id, "os-reset_status", status=status)
            volume.status = status

    # -- snapshots -------------------------------------------------------------------------------------------------

    @precondition(lambda self: _has_volumes(self) and len(self.model.snapshots) < MOST)
    @rule(index=PICK, fuse=FUSE)
    def snapshot(self, index: int, fuse: int | None) -> None:
        volume, name = self.pick(index), self.world.fresh_name()
        starts = self.model.starts("snapshot", volume)
        self.act(
            lambda: self.world.api.create_snapshot(volume.id, name),
            fuse,
            starts=starts,
            what=f"snapshot of {volume}",
        )
        if starts:
            found = self.world.named(name)
            assert found is not None and found["status"] == "available", found
            self.model.snapshots[found["id"]] = Snapshot(found["id"], volume.id, volume.size, volume.tag)

    @precondition(_has_snapshots)
    @rule(index=PICK, fuse=FUSE)
    def delete_snapshot(self, index: int, fuse: int | None) -> None:
        snapshot = self.pick_snapshot(index)
        self.act(
            lambda: self.world.api.delete_snapshot(snapshot.id), fuse, starts=True, what=f"delete {snapshot}"
        )
        del self.model.snapshots[snapshot.id]

    @precondition(_has_snapshots)
    @rule(index=PICK, fuse=FUSE)
    def revert(self, index: int, fuse: int | None) -> None:
        snapshot = self.pick_snapshot(index)
        volume = self.model.volumes[snapshot.volume]
        starts = self.model.may_revert(volume, snapshot)
        self.act(
            lambda: self.world.api.revert(volume.id, snapshot.id),
            fuse,
            starts=starts,
            what=f"revert {volume}",
        )
        if starts:
            volume.tag = snapshot.tag

    # -- attachments -----------------------------------------------------------------------------------------------

    @precondition(_has_volumes)
    @rule(index=PICK)
    def reserve(self, index: int) -> None:
        volume = self.pick(index)
        starts = self.model.starts("attachment_create", volume)
        made = self.act(
            lambda: self.world.api.create_attachment(volume.id), None, starts=starts, what=f"reserve {volume}"
        )
        if starts:
            volume.attachments[made["id"]] = Attachment(made["id"], "reserved")
            volume.status = "reserved"

    @precondition(_has_attachments)
    @rule(index=PICK, fuse=FUSE)
    def connect(self, index: int, fuse: int | None) -> None:
        volume, attachment = self.pick_attachment(index)
        if attachment.status != "reserved":
            return
        self.act(
            lambda: self.world.api.connect_attachment(attachment.id),
            fuse,
            starts=True,
            what=f"connect {volume}",
        )
        attachment.status = volume.status = "attaching"

    @precondition(_has_attachments)
    @rule(index=PICK)
    def complete(self, index: int) -> None:
        volume, attachment = self.pick_attachment(index)
        starts = attachment.status != "reserved"
        self.act(
            lambda: self.world.api.complete_attachment(attachment.id),
            None,
            starts=starts,
            what=f"complete {volume}",
        )
        if starts:
            attachment.status, volume.status = "attached", "in-use"

    @precondition(_has_attachments)
    @rule(index=PICK, fuse=FUSE)
    def end_attachment(self, index: int, fuse: int | None) -> None:
        volume, attachment = self.pick_attachment(index)
        call = (
            (lambda: self.world.api.detach(volume.id))
            if attachment.device
            else (lambda: self.world.api.delete_attachment(attachment.id))
        )
        self.act(call, fuse, starts=True, what=f"end {attachment}")
        del volume.attachments[attachment.id]
        volume.settle()

    @precondition(_has_volumes)
    @rule(index=PICK, fuse=FUSE)
    def attach(self, index: int, fuse: int | None) -> None:
        volume = self.pick(index)
        starts = self.model.starts("attachment_create", volume)
        self.act(lambda: self.world.api.attach(volume.id), fuse, starts=starts, what=f"attach {volume}")
        if starts:
            [found] = [one for one in self.world.api.attachments() if one["volume_id"] == volume.id]
            device = self.world.api.device(found["id"])
            volume.attachments[found["id"]] = Attachment(found["id"], "attached", device)
            volume.status = "in-use"

    @precondition(_has_volumes)
    @rule(index=PICK)
    def connect_from_nowhere(self, index: int) -> None:
        """A connector that names no host is refused and leaves a reservation that can be taken back."""
        volume = self.pick(index)
        if self.model.starts("attachment_create", volume):
            connector = {key: value for key, value in CONNECTOR.items() if key != "host"}
            self.act(
                lambda: self.world.api.create_attachment(volume.id, connector),
                None,
                starts=False,
                what="connect from nowhere",
            )
            for one in self.world.api.attachments():
                if one["volume_id"] == volume.id:
                    self.world.api.delete_attachment(one["id"])
            self.world.truth.settled(SETTLE_SECONDS)

    # -- crashes ---------------------------------------------------------------------------------------------------

    @precondition(_has_volumes)
    @rule(how=st.sampled_from(["kill", "stop", "", "", ""]))
    def crash(self, how: str) -> None:
        """Seldom: verbs with a fuse kill often enough, and a start takes a second."""
        if how == "kill":
            self.world.service.kill()
        elif how == "stop":
            assert self.world.service.stop() == 0
        else:
            return
        self.world.recover()

    # -- what holds after each step --------------------------------------------------------------------------------

    @invariant()
    def the_service_shows_what_the_model_says(self) -> None:
        shown = {one["id"]: one for one in self.world.api.volumes()}
        said = {v.id: (v.status, v.size, v.metadata) for v in self.model.volumes.values()}
        assert {id: (v["status"], v["size"], v["metadata"]) for id, v in shown.items()} == said
        snapshots = {one["id"]: (one["status"], one["size"]) for one in self.world.api.snapshots()}
        assert snapshots == {s.id: (s.status, s.size) for s in self.model.snapshots.values()}
        attachments = {one["id"]: one["status"] for one in self.world.api.attachments()}
        assert attachments == {
            a.id: a.status for v in self.model.volumes.values() for a in v.attachments.values()
        }

    @invariant()
    def the_truth_is_in_order(self) -> None:
        assert self.world.truth.problems() == []

    @invariant()
    def every_byte_is_where_it_was_written(self) -> None:
        for volume in self.model.volumes.values():
            if volume.device:
                assert content.device_holds(volume.device, volume.tag), volume
            else:
                assert self.world.shows(f"volume-{volume.id}", volume.tag), volume
        for snapshot in self.model.snapshots.values():
            assert self.world.shows(f"snapshot-{snapshot.id}", snapshot.tag), snapshot

    def teardown(self) -> None:
        if self.world.service.pid is None:
            self.world.recover()
        self.world.clear()
