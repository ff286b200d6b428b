# SPDX-License-Identifier: Apache-2.0
"""qemu-img, one function for each thing it is used for here. Formats are always given, never probed; whatever moves bytes is a mover and
ends with its operation. Must never be given a path that a header or a user named: callers pass paths they made themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from breezeblock.host import executor
from breezeblock.host.executor import Mover
from breezeblock.model.call import Context
from breezeblock.model.errors import ProgramFailed

#: Seconds. Movers are bounded by their context; this is only so that nothing runs for ever.
_MOVE = 7 * 86400.0
#: Seconds for what changes a header or reads a map.
_LOOK = 300.0
#: Bytes that one read of a pull takes; the program has a buffer of that size.
_PULL_STEP = 4 << 20
_LOCKED = 'Failed to get "'


class MapEntry(msgspec.Struct, frozen=True):
    """One range of `qemu-img map`. `depth` counts layers from the top; `present`: allocated in that layer (zeros count)."""

    start: int
    length: int
    depth: int
    present: bool
    zero: bool
    data: bool


def is_in_use(failure: ProgramFailed) -> bool:
    """Did it fail because another process has the image open?"""
    return _LOCKED in str(failure.facts.get("stderr", ""))


def resize(path: Path, size: int) -> None:
    """Grow a qcow2 image that nobody has open."""
    executor.run(["qemu-img", "resize", "-q", "-f", "qcow2", path, str(size)], timeout=_LOOK)


def map_chain(path: Path, format: str) -> list[MapEntry]:
    """What each range of an immutable image and the chain below it is. Reads metadata only."""
    out = executor.run(["qemu-img", "map", "-U", "--output=json", "-f", format, path], timeout=_LOOK)
    return msgspec.json.decode(out.stdout, type=list[MapEntry])


def commit(overlay: Path, mover: Mover) -> None:
    """Write what the overlay holds into the layer below, growing that when it is shorter. The overlay stays as it is (-d)."""
    executor.run(["qemu-img", "commit", "-q", "-d", "-f", "qcow2", overlay], timeout=_MOVE, mover=mover)


def pull_up(image: Path, depth: int, mover: Mover, *, zeros: bool) -> None:
    """Copy into the image what it shows of the layer `depth` below it (with `zeros`: also where that layer says zero). What the image
    shows is the same at every moment. Raises ProgramFailed unless, in the end, nothing is shown from that layer any more."""
    wanted = [entry for entry in _shown(image, depth) if zeros or entry.data]
    reads = [
        f"read -q {at} {min(_PULL_STEP, entry.start + entry.length - at)}\n"
        for entry in wanted
        for at in range(entry.start, entry.start + entry.length, _PULL_STEP)
    ]
    # Copy-on-read: to read a range is to store it. The program flushes the image when it ends.
    out = None
    if reads:
        stdin = "".join(reads).encode()
        out = executor.run(["qemu-io", "-C", "-f", "qcow2", image], timeout=_MOVE, mover=mover, input=stdin)
    left = [entry for entry in _shown(image, depth) if zeros or entry.data]
    if left:
        raise ProgramFailed(
            f"qemu-io did not copy everything: {len(left)} of {len(wanted)} ranges are left",
            stderr=executor.last_lines(out.text + out.stderr if out is not None else ""),
        )


def _shown(image: Path, depth: int) -> list[MapEntry]:
    return [entry for entry in map_chain(image, "qcow2") if entry.depth == depth and entry.present]


def stand_on(image: Path, base: str | None, base_format: str) -> None:
    """Make the image stand on `base` (a name in the image's folder; None: on nothing): one write to its header, nothing else. The caller
    has seen to it that the image shows the same either way, and that this is on stable storage: QEMU writes a header without flushing
    the tables that it relies on, so the same program must not copy and switch."""
    below = ["-b", base, "-F", base_format] if base is not None else ["-b", ""]
    executor.run(
        ["qemu-img", "rebase", "-u", "-q", "-f", "qcow2", *below, image], timeout=_LOOK, cwd=image.parent
    )


def convert(
    source: Path, source_format: str, target: Path, target_format: str, mover: Mover, *, total: int
) -> None:
    """Copy an image with all it stands on into `target`, which exists, reads as zeros and is at least as large. Holes stay holes.
    `total`: about how many bytes will be written, for the progress."""
    executor.run(
        [
            "qemu-img",
            "convert",
            "-q",
            "-n",
            "--target-is-zero",
            "-f",
            source_format,
            "-O",
            target_format,
            source,
            target,
        ],
        timeout=_MOVE,
        mover=Mover(_with_progress(mover.ctx, lambda: target.stat().st_blocks * 512, total), mover.record),
    )


def check(path: Path) -> None:
    """Raises ProgramFailed when the image's own tables do not agree. Leaked clusters (exit code 3) are waste, not damage."""
    executor.run(["qemu-img", "check", "-q", "-f", "qcow2", path], timeout=_LOOK, ok=(0, 3))


def _with_progress(ctx: Context, done: Callable[[], int], total: int) -> Context:
    def check() -> None:
        ctx.check()
        try:
            ctx.progress(min(done(), total), total)
        except OSError:
            pass  # not made yet

    return Context(ctx.operation, ctx.fence, deadline=ctx.deadline, check=check)
