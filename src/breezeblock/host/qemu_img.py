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


def rebase(image: Path, base: str | None, base_format: str, mover: Mover) -> None:
    """Copy into the image whatever it shows and `base` does not, then make it stand on `base` (a name in the image's folder; None: on
    nothing). What the image shows is the same at every moment; the header is switched last."""
    below = ["-b", base, "-F", base_format] if base is not None else ["-b", ""]
    executor.run(
        ["qemu-img", "rebase", "-q", "-f", "qcow2", *below, image],
        timeout=_MOVE,
        mover=mover,
        cwd=image.parent,
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
