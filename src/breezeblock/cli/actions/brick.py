# SPDX-License-Identifier: Apache-2.0
"""What `breezeblock brick ...` does: hands a connection info to the connectors of this host, without the service. The info comes from a
file or stdin and never from the command line, since it may hold secrets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from breezeblock.cli.exits import refused, usage
from breezeblock.cli.session import Session


def connect(
    session: Session, *, info: str, state: Path | None, size: int | None, certificates: Path | None
) -> None:
    with _reasons():
        from breezeblock.brick import command

        device = command.connect(
            command.read_info(info),
            state=_state(state),
            size=None if size is None else size << 30,
            certificates=certificates,
        )
    document = {"kind": device.kind, "path": device.path, "how": device.how, "size": device.size}
    session.show({"device": document}, device.path)


def disconnect(
    session: Session, *, info: str, state: Path | None, force: bool, certificates: Path | None
) -> None:
    with _reasons():
        from breezeblock.brick import command

        command.disconnect(
            command.read_info(info), state=_state(state), force=force, certificates=certificates
        )
    session.show({"device": None}, "disconnected")


def extend(session: Session, *, info: str, state: Path | None, certificates: Path | None) -> None:
    with _reasons():
        from breezeblock.brick import command

        size = command.extend(command.read_info(info), state=_state(state), certificates=certificates)
    session.show({"size": size}, str(size))


def _state(given: Path | None) -> Path:
    """Where the connectors remember what they made: gone with the boot, as the devices are."""
    runtime = "/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "")
    if given is None and not runtime:
        raise usage(
            "there is no place for the connectors' state",
            needed="--state DIR or XDG_RUNTIME_DIR",
            had="neither",
        )
    folder = given or Path(runtime) / "breezeblock" / "brick"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def _reasons() -> Iterator[None]:
    """An error of the library, told as the command tells its own."""
    from breezeblock.model.errors import Error, Malformed

    try:
        yield
    except Malformed as why:
        raise usage(why.message, needed=why.needed, had=why.had) from None
    except Error as why:
        raise refused(why.message, code=why.code, needed=why.needed, had=why.had, remedy=why.remedy) from None
    except OSError as why:
        raise refused(f"{why.filename or 'this'}: {why.strerror}", code="host.refused") from None
