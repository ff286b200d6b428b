# SPDX-License-Identifier: Apache-2.0
"""A volume's life, step by step. Each step is what a person would do with the `breezeblock` command, and what they would look at
afterwards; the list at the end is the order."""

from __future__ import annotations

import time

from breezeblock.cli import render
from breezeblock.cli.exits import Ended
from breezeblock.demo.life import Done, Life, Step

#: The disk of the story, and what it grows to.
DISK, SIZE, LARGER = "disk", "2G", "3G"
GIB = 1 << 30
#: Seconds: how long the writer writes before the kill, how long nobody serves, and how long it writes after the restart.
BEFORE, AWAY, AFTER = 1.0, 1.0, 1.0


def start(life: Life) -> Done:
    seconds = life.instance.start()
    status = life.ask("status")["status"]
    return Done(
        note=f"ready in {render.seconds(seconds)}, {status['memory_mib']:.0f} MiB, {life.instance.endpoint}"
    )


def create(life: Life) -> Done:
    volume = life.create(DISK, SIZE)
    return Done(note=f"volume {volume}")


def attach(life: Life) -> Done:
    reached = life.attach(DISK, new=True)
    return Done(note=reached if len(reached) < 40 else f"{reached[:20]}…")


def write(life: Life) -> Done:
    return Done(life.content.fill(DISK), "written and flushed")


def checksum(life: Life) -> Done:
    seen = life.expected["first"] = life.content.digest(DISK)
    return Done(seen.bytes, f"sha256 of {seen.what}: {seen.sha256[:16]}…")


def snapshot(life: Life) -> Done:
    life.content.settle(DISK)
    found = life.ask("snapshot", "create", life.volumes[DISK], "--name", "first")["snapshot"]
    life.snapshots["first"] = found["id"]
    return Done(note="of the attached volume, while it is in use")


def change(life: Life) -> Done:
    moved = life.content.change(DISK)
    seen = life.expected["changed"] = life.content.digest(DISK)
    if seen.sha256 == life.expected["first"].sha256:
        raise RuntimeError("the content did not change")
    return Done(moved, f"now {seen.what}: {seen.sha256[:16]}…")


def volume_from_snapshot(life: Life) -> Done:
    life.create("from-snapshot", "--from-snapshot", life.snapshots["first"])
    life.attach("from-snapshot")
    seen = life.verify("from-snapshot", "first")
    life.detach("from-snapshot")
    return Done(seen.bytes, f"{seen.what} as they were before the change")


def clone(life: Life) -> Done:
    life.content.settle(DISK)
    life.create("clone", "--from-volume", life.volumes[DISK])
    life.attach("clone")
    seen = life.verify("clone", "changed")
    life.detach("clone")
    return Done(seen.bytes, f"{seen.what} as they are now, from the attached volume")


def extend(life: Life) -> Done:
    how = "while attached"
    try:
        life.ask("volume", "extend", life.volumes[DISK], LARGER)
    except Ended as why:
        # Not every path can grow under its user: then it grows between two attachments.
        if "attached" not in why.message:
            raise
        how = "between two attachments: this path cannot grow under its user"
        life.detach(DISK)
        life.ask("volume", "extend", life.volumes[DISK], LARGER)
        life.attach(DISK)
    there = life.content.grow(DISK, 3 * GIB)
    if there < 2.8 * GIB:
        raise RuntimeError(f"the disk did not grow; needed 3 GiB, there was {render.size(there)}")
    seen = life.verify(DISK, "changed")
    return Done(seen.bytes, f"{how}; {render.size(there)} usable")


def crash(life: Life) -> Done:
    life.content.start_writing(DISK)
    time.sleep(BEFORE)
    life.instance.kill()
    time.sleep(AWAY)
    seconds = life.instance.start()
    status = life.ask("volume", "show", life.volumes[DISK])["volume"]["status"]
    time.sleep(AFTER)
    written = life.content.stop_writing(DISK)
    if written.errors:
        raise RuntimeError(f"the writer met an I/O error: {written.errors[0]}")
    if status != "in-use":
        raise RuntimeError(
            f"the volume's status after the restart is wrong; needed in-use, there was {status}"
        )
    note = f"{written.flushes} flushed writes, 0 errors, longest {written.longest * 1000:.0f} ms; back in {render.seconds(seconds)}"
    return Done(written.bytes, note)


def detach(life: Life) -> Done:
    life.detach(DISK)
    # Once more from cold: what the disk holds, not what a cache remembers.
    life.attach(DISK)
    seen = life.verify(DISK, "changed")
    life.detach(DISK)
    return Done(seen.bytes, "and verified through a new attachment")


def delete(life: Life) -> Done:
    # The original first: what was made from it must not need it.
    gone = {life.delete(DISK), life.snapshots.pop("first")}
    life.attach("clone")
    seen = life.verify("clone", "changed")
    life.detach("clone")
    gone |= {life.delete(name) for name in list(life.volumes)}
    left = [*life.ask("volume", "list")["volumes"], *life.ask("snapshot", "list")["snapshots"]]
    still = [item["id"] for item in left if item["id"] in gone]
    if still:
        raise RuntimeError(f"deleted and still there: {', '.join(still)}")
    return Done(seen.bytes, "the clone verified once more after its origin was gone")


STEPS: list[tuple[str, Step]] = [
    ("start the service", start),
    (f"create a volume of {SIZE}iB", create),
    ("attach it to this host", attach),
    ("write content", write),
    ("checksum everything", checksum),
    ("snapshot", snapshot),
    ("change the content", change),
    ("volume from the snapshot, verified", volume_from_snapshot),
    ("clone, verified", clone),
    (f"extend to {LARGER}iB, verified", extend),
    ("kill -9 and restart during writes, verified", crash),
    ("detach, verified", detach),
    ("delete everything", delete),
]
