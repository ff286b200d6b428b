# SPDX-License-Identifier: Apache-2.0
"""All state machines, written down once: which verb may move which status to which, and who holds each status meanwhile. The API's
preconditions, the operations, reset-status, `explain` and the property tests read these tables; nothing else knows a status rule.
docs/OPERATIONS.md prints from here who holds what.

A status is held by nobody (it rests), by an operation (bounded in time: lease, recovery, or the verb's error status) or by a client
(`reserved`, `attaching` between update and complete, `detaching`, `awaiting-transfer`: shown with who and since when, never timed
out silently). A Move is one verb on one noun: from -> while -> done | failed. BACK means the status before; GONE that the row goes;
BY_ATTACHMENTS that what remains attached decides (in-use or available)."""

from __future__ import annotations

import enum

import msgspec

BACK = "<previous>"
GONE = "<gone>"
BY_ATTACHMENTS = "<by attachments>"
NEW = "<none>"


class Holder(enum.StrEnum):
    NOBODY = "nobody"
    OPERATION = "operation"
    CLIENT = "client"


class State(msgspec.Struct, frozen=True):
    """A status: who holds it, whether os-reset_status may write it, and what the API shows instead of it."""

    name: str
    holder: Holder = Holder.NOBODY
    reset: bool = True
    shown_as: str = ""


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One verb. `to` is the status while it runs ("" when the status does not change), `failed` where a failure after the pivot ends."""

    verb: str
    frm: frozenset[str]
    to: str
    done: str
    undone: str = BACK
    failed: str
    #: further states allowed when the caller forces (force_delete, force snapshot).
    forced: frozenset[str] = frozenset()
    #: further states allowed for a multiattach volume.
    multiattach: frozenset[str] = frozenset()


def _states(*states: State) -> dict[str, State]:
    return {s.name: s for s in states}


_OP, _CLIENT = Holder.OPERATION, Holder.CLIENT

VOLUME = _states(
    State("creating", _OP),
    State("available"),
    State("reserved", _CLIENT),
    State("attaching", _CLIENT),
    State("in-use"),
    State("detaching", _CLIENT),
    State("maintenance", _OP),
    State("deleting", _OP, reset=False),
    State("error"),
    State("error_deleting", reset=False),
    State("error_extending"),
    State("error_restoring"),
    State("error_backing-up"),
    State("error_managing", shown_as="error"),
    State("error_unmanaging", reset=False),
    State("error_managing_deleting", _OP, reset=False, shown_as="deleting"),
    State("managing", _OP, shown_as="creating"),
    State("unmanaging", _OP, reset=False),
    State("restoring-backup", _OP),
    State("backing-up", _OP),
    State("awaiting-transfer", _CLIENT),
    State("downloading", _OP),
    State("uploading", _OP),
    State("retyping", _OP),
    State("extending", _OP),
    State("reverting", _OP, reset=False),
)

SNAPSHOT = _states(
    State("creating", _OP),
    State("available"),
    State("deleting", _OP),
    State("deleted"),
    State("error"),
    State("error_deleting"),
    State("updating", _OP),
    State("unmanaging", _OP),
    State("backing-up", _OP),
    State("restoring", _OP),
)

ATTACHMENT = _states(
    State("reserved", _CLIENT),
    State("attaching", _CLIENT),
    State("attached"),
    State("detached"),
    State("error_attaching"),
    State("error_detaching"),
    State("deleted"),
)

_SETTLED = frozenset({"available", "error", "error_restoring", "error_extending", "error_managing"})
_FREE = frozenset({"available"})
_USED = frozenset({"in-use"})


def _moves(*moves: Move) -> dict[str, Move]:
    return {m.verb: m for m in moves}


VOLUME_MOVES = _moves(
    Move(
        verb="create", frm=frozenset({NEW}), to="creating", done="available", undone="error", failed="error"
    ),
    Move(
        verb="delete",
        frm=_SETTLED,
        to="deleting",
        done=GONE,
        failed="error_deleting",
        # a forced delete takes every status but an attached volume (that is a separate condition).
        forced=frozenset(VOLUME) - {"in-use"},
    ),
    Move(verb="extend", frm=_FREE, to="extending", done=BY_ATTACHMENTS, failed="error_extending"),
    Move(verb="extend_attached", frm=_USED, to="extending", done=BY_ATTACHMENTS, failed="error_extending"),
    Move(verb="reserve", frm=_FREE, to="attaching", done="attaching", failed=BACK, multiattach=_USED),
    Move(verb="unreserve", frm=frozenset({"attaching"}), to=BY_ATTACHMENTS, done=BY_ATTACHMENTS, failed=BACK),
    Move(verb="begin_detaching", frm=_USED, to="detaching", done="detaching", failed=BACK),
    Move(verb="roll_detaching", frm=frozenset({"detaching"}), to="in-use", done="in-use", failed=BACK),
    # a detach of a volume without attachments: what a lost consumer left in between.
    Move(
        verb="detach",
        frm=frozenset({"reserved", "attaching", "in-use", "detaching"}),
        to=BY_ATTACHMENTS,
        done=BY_ATTACHMENTS,
        failed=BACK,
    ),
    Move(
        verb="attachment_create",
        frm=frozenset({"available", "downloading"}),
        to="reserved",
        done="reserved",
        failed=BACK,
        multiattach=_USED,
    ),
    Move(
        verb="attachment_connect",
        frm=frozenset({"reserved", "available", "attaching"}),
        to="attaching",
        done="attaching",
        failed=BACK,
        multiattach=_USED,
    ),
    Move(verb="attachment_complete", frm=frozenset(VOLUME), to="in-use", done="in-use", failed=BACK),
    Move(verb="revert", frm=_FREE, to="reverting", done="available", undone="available", failed="error"),
    Move(
        verb="offer",
        frm=_FREE,
        to="awaiting-transfer",
        done="awaiting-transfer",
        undone="available",
        failed=BACK,
    ),
    Move(verb="accept", frm=frozenset({"awaiting-transfer"}), to="available", done="available", failed=BACK),
    Move(verb="snapshot", frm=_FREE, to="", done="", failed="", forced=_USED),
    Move(verb="clone", frm=frozenset({"available", "in-use"}), to="", done="", failed=""),
    Move(verb="readonly", frm=_FREE, to="", done="", failed=""),
)

SNAPSHOT_MOVES = _moves(
    Move(
        verb="create", frm=frozenset({NEW}), to="creating", done="available", undone="error", failed="error"
    ),
    Move(
        verb="delete",
        frm=frozenset({"available", "error"}),
        to="deleting",
        done=GONE,
        failed="error_deleting",
        forced=frozenset(SNAPSHOT),
    ),
    Move(verb="revert", frm=_FREE, to="restoring", done="available", undone="available", failed="available"),
    Move(verb="use", frm=_FREE, to="", done="", failed=""),
)

#: os-update_snapshot_status: what a driver's host may report, by current status.
SNAPSHOT_REPORTS = {
    "creating": frozenset({"creating", "available", "error"}),
    "deleting": frozenset({"deleting", "error_deleting"}),
}

#: os-reset_status of a volume, other columns.
ATTACH_STATUS_RESET = frozenset({"attached", "detached"})
MIGRATION_STATUS_RESET = frozenset({"migrating", "error", "success", "completing", "none", "starting"})

#: A volume in one of these migration statuses is not being migrated ("mig-free"); so is null.
MIGRATION_FREE = frozenset({"deleting", "error", "success"})

#: Metadata may not change meanwhile.
METADATA_FROZEN = frozenset({"maintenance", "uploading"})


def resettable(table: dict[str, State]) -> frozenset[str]:
    return frozenset(s.name for s in table.values() if s.reset)


def shown(table: dict[str, State], status: str) -> str:
    state = table.get(status)
    return (state.shown_as or status) if state else status


def at_rest(table: dict[str, State], status: str) -> str:
    """Where a verb that comes to nothing leaves what was in this status: there, or in error when its operation is no more."""
    return "error" if table[status].holder is Holder.OPERATION else status


def allowed(move: Move, *, force: bool = False, multiattach: bool = False) -> frozenset[str]:
    """The statuses from which the verb may start."""
    return (
        move.frm
        | (move.forced if force else frozenset())
        | (move.multiattach if multiattach else frozenset())
    )


def after_detach(remaining: list[str], status: str) -> str:
    """The volume status once an attachment has gone: `remaining` are the attach statuses of the other rows.
    The alphabetically smallest one that is not an error decides; an uploading volume keeps its status."""
    if status == "uploading":
        return status
    good = sorted(s for s in remaining if not s.startswith("error_"))
    return {"attached": "in-use", "detached": "available"}.get(good[0], good[0]) if good else "available"
