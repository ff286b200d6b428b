# SPDX-License-Identifier: Apache-2.0
"""What `breezeblock brick ...` does: hands a connection info to the connectors of this host, without the service. The info comes from a
file or stdin and never from the command line, since it may hold secrets."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from breezeblock.cli.exits import usage
from breezeblock.cli.session import Session


def connect(session: Session, *, info: str) -> None:
    from breezeblock.brick import command

    _show(session, command.connect(_read(info)))


def disconnect(session: Session, *, info: str) -> None:
    from breezeblock.brick import command

    _show(session, command.disconnect(_read(info)))


def extend(session: Session, *, info: str) -> None:
    from breezeblock.brick import command

    _show(session, command.extend(_read(info)))


def _read(where: str) -> Mapping[str, Any]:
    try:
        text = sys.stdin.read() if where == "-" else Path(where).read_text(encoding="utf-8")
        found = json.loads(text)
    except OSError as why:
        raise usage(f"the connection info cannot be read: {why}") from None
    except ValueError as why:
        raise usage(f"the connection info is not JSON: {why}") from None
    if isinstance(found, dict) and isinstance(found.get("connection_info"), dict):
        found = found["connection_info"]
    if not isinstance(found, dict) or "driver_volume_type" not in found:
        raise usage(
            "this is no connection info",
            needed='JSON with "driver_volume_type"',
            had=type(found).__name__
            if not isinstance(found, dict)
            else ", ".join(found) or "an empty object",
            remedy="It is the connection_info of an attachment, as the attachments API answers it.",
        )
    if "data" not in found:
        # Attachments carry it flat; connectors take it nested.
        found = {"driver_volume_type": found["driver_volume_type"], "data": found}
    return found


def _show(session: Session, answer: object) -> None:
    import msgspec

    document = msgspec.to_builtins(answer)
    text = (
        document.get("path", "") if isinstance(document, dict) else str("" if document is None else document)
    )
    session.show(document if isinstance(document, dict) else {"answer": document}, str(text))
