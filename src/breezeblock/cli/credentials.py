# SPDX-License-Identifier: Apache-2.0
"""Where the service is and who we are: options, then BREEZEBLOCK_ENDPOINT/TOKEN/PROJECT, then the admin.json that a local service
wrote into its data folder (this user's; under sudo also the invoking user's). Must never read a file that somebody else could have
written or can read, and never guess a token."""

from __future__ import annotations

import json
import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from breezeblock.cli.exits import UNREACHABLE, Ended, refused
from breezeblock.cli.listener import require_owner

DEFAULT_ENDPOINT = "http://127.0.0.1:8776"
HOW_TO_START = "Start one with 'breezeblock serve', or name one with --endpoint and BREEZEBLOCK_TOKEN."


class Credentials(NamedTuple):
    """`project` may be empty: the token's own project is meant then."""

    endpoint: str
    token: str
    project: str
    source: str
    #: A token from a file is told to services of these users only, at every connection; empty: said by the caller, who knows.
    owners: frozenset[int] = frozenset()


def data_folders(environ: Mapping[str, str], uid: int) -> list[Path]:
    """Where a local service may keep its data, most likely first."""
    if environ.get("BREEZEBLOCK_DATA"):
        return [Path(environ["BREEZEBLOCK_DATA"])]
    folders = []
    if environ.get("XDG_DATA_HOME"):
        folders.append(Path(environ["XDG_DATA_HOME"]) / "breezeblock")
    users = [uid]
    invoking = environ.get("SUDO_UID", "")
    if uid == 0 and invoking.isdigit():
        users.append(int(invoking))
    for user in users:
        home = _home_of(user, environ if user == uid else {})
        if home is not None:
            folders.append(home / ".local" / "share" / "breezeblock")
    return folders


def _home_of(uid: int, environ: Mapping[str, str]) -> Path | None:
    if environ.get("HOME"):
        return Path(environ["HOME"])
    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError:
        return None


def trusted_owners(environ: Mapping[str, str], uid: int) -> set[int]:
    """Us, root, and under sudo whoever called it: SUDO_UID counts only for root, since anybody can set it."""
    invoking = environ.get("SUDO_UID", "")
    return {uid, 0} | ({int(invoking)} if uid == 0 and invoking.isdigit() else set())


def find(
    environ: Mapping[str, str],
    *,
    endpoint: str = "",
    token: str = "",
    project: str = "",
    uid: int | None = None,
) -> Credentials:
    """The credentials to use. Raises Ended with the way to get some."""
    uid = os.geteuid() if uid is None else uid
    endpoint = endpoint or environ.get("BREEZEBLOCK_ENDPOINT", "")
    token = token or environ.get("BREEZEBLOCK_TOKEN", "")
    project = project or environ.get("BREEZEBLOCK_PROJECT", "")
    if token:
        return Credentials(
            (endpoint or DEFAULT_ENDPOINT).rstrip("/"), token, project, "options or environment"
        )
    looked = []
    for folder in data_folders(environ, uid):
        path = folder / "admin.json"
        written = _read(path, trusted_owners(environ, uid))
        if written is None:
            looked.append(f"nothing at {path}")
            continue
        # The file's token belongs to the file's service: it is never sent to another address.
        if endpoint and endpoint.rstrip("/") != written["endpoint"].rstrip("/"):
            looked.append(f"the token of {written['endpoint']} at {path}")
            continue
        require_owner(written["endpoint"], trusted_owners(environ, uid))
        return Credentials(
            written["endpoint"].rstrip("/"),
            written["token"],
            project or written["project_id"],
            str(path),
            frozenset(trusted_owners(environ, uid)),
        )
    raise Ended(
        UNREACHABLE,
        f"no credentials for {endpoint}" if endpoint else "no service of this user was found",
        code="unreachable",
        needed="the credentials file of a running service, or an endpoint and a token",
        had=", ".join(looked),
        remedy=HOW_TO_START,
    )


def _read(path: Path, owners: set[int]) -> dict[str, str] | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as why:
        raise refused(
            f"the credentials file {path} cannot be read: {why.strerror}",
            code="credentials.unreadable",
            remedy="Run the command as the user of the service (or with sudo), or set BREEZEBLOCK_DATA.",
        ) from None
    with os.fdopen(descriptor, encoding="utf-8") as file:
        facts = os.fstat(descriptor)
        if facts.st_uid not in owners:
            raise refused(
                f"the credentials file {path} belongs to somebody else",
                code="credentials.owner",
                needed=f"owner uid {' or '.join(map(str, sorted(owners)))}",
                had=f"uid {facts.st_uid}",
                remedy="Point BREEZEBLOCK_DATA at your own service's data folder.",
            )
        mode = stat.S_IMODE(facts.st_mode)
        if mode & 0o077:
            raise refused(
                f"the credentials file {path} is open to others",
                code="credentials.mode",
                needed="mode 0600",
                had=f"mode {mode:04o}",
                remedy=f"Run: chmod 600 {path}  (and restart the service if others may have read the token).",
            )
        try:
            document = json.load(file)
            return {key: str(document[key]) for key in ("endpoint", "token", "project_id")}
        except (ValueError, KeyError, TypeError):
            raise refused(
                f"the credentials file {path} is damaged",
                code="credentials.damaged",
                needed="JSON with endpoint, token and project_id",
                remedy="Restart the service: it writes the file anew.",
            ) from None
