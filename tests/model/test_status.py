# SPDX-License-Identifier: Apache-2.0
"""The state tables agree with themselves and with the contract: every status a verb names exists, everything transitional has a holder,
and nothing that an operation holds can be left only by an administrator."""

from __future__ import annotations

import pytest

from breezeblock.model import status
from breezeblock.model.status import BACK, BY_ATTACHMENTS, GONE, NEW, Holder, Move, State

NOUNS = {
    "volume": (status.VOLUME, status.VOLUME_MOVES),
    "snapshot": (status.SNAPSHOT, status.SNAPSHOT_MOVES),
}
CASES = [(noun, verb) for noun, (_, moves) in NOUNS.items() for verb in moves]
SPECIAL = {BACK, GONE, BY_ATTACHMENTS, NEW, ""}


def _move(noun: str, verb: str) -> tuple[dict[str, State], Move]:
    table, moves = NOUNS[noun]
    return table, moves[verb]


@pytest.mark.parametrize(("noun", "verb"), CASES)
def test_a_verb_names_only_statuses_that_exist(noun: str, verb: str) -> None:
    table, move = _move(noun, verb)
    named = move.frm | move.forced | move.multiattach | {move.to, move.done, move.undone, move.failed}
    assert named - SPECIAL <= set(table)
    assert move.verb == verb


@pytest.mark.parametrize(("noun", "verb"), CASES)
def test_a_verb_starts_from_somewhere_and_only_a_create_from_nothing(noun: str, verb: str) -> None:
    _, move = _move(noun, verb)
    assert move.frm
    assert (NEW in move.frm) == (verb == "create")


@pytest.mark.parametrize(("noun", "verb"), CASES)
def test_while_a_verb_runs_somebody_holds_the_status(noun: str, verb: str) -> None:
    """Unless the verb is over with the request: then it goes to its resting status at once."""
    table, move = _move(noun, verb)
    if move.to in SPECIAL:
        return
    over_at_once = move.to == move.done
    assert (table[move.to].holder is not Holder.NOBODY) or over_at_once
    assert table[move.to].holder is not Holder.OPERATION or move.done != move.to


@pytest.mark.parametrize(("noun", "verb"), CASES)
def test_a_verb_ends_where_nothing_is_held_by_an_operation(noun: str, verb: str) -> None:
    table, move = _move(noun, verb)
    ends = {move.done, move.undone, move.failed} - SPECIAL
    assert {end for end in ends if table[end].holder is Holder.OPERATION} == set()


@pytest.mark.parametrize("noun", NOUNS)
def test_what_a_verb_leaves_behind_can_be_deleted_or_reset(noun: str) -> None:
    """No verb may end where neither a delete, forced or not, nor a reset leads on."""
    table, moves = NOUNS[noun]
    ends = {end for move in moves.values() for end in (move.done, move.undone, move.failed)} - SPECIAL
    way_out = status.allowed(moves["delete"], force=True) | status.resettable(table)
    assert ends <= way_out


def test_reset_status_takes_what_the_contract_takes() -> None:
    refused = {
        "deleting",
        "error_deleting",
        "error_unmanaging",
        "error_managing_deleting",
        "unmanaging",
        "reverting",
    }
    assert set(status.VOLUME) - status.resettable(status.VOLUME) == refused


def test_a_few_statuses_are_shown_by_another_name() -> None:
    shown = {name: status.shown(status.VOLUME, name) for name in status.VOLUME}
    assert {name: seen for name, seen in shown.items() if seen != name} == {
        "error_managing": "error",
        "error_managing_deleting": "deleting",
        "managing": "creating",
    }
    assert status.shown(status.VOLUME, "of a later version") == "of a later version"


@pytest.mark.parametrize("noun", NOUNS)
def test_what_an_operation_held_rests_in_error_when_it_is_no_more(noun: str) -> None:
    table, _ = NOUNS[noun]
    for name, state in table.items():
        assert status.at_rest(table, name) == ("error" if state.holder is Holder.OPERATION else name)


@pytest.mark.parametrize(
    ("verb", "force", "multiattach", "wanted"),
    [
        ("extend", False, False, {"available"}),
        ("snapshot", False, False, {"available"}),
        ("snapshot", True, False, {"available", "in-use"}),
        ("reserve", False, True, {"available", "in-use"}),
        (
            "delete",
            False,
            False,
            {"available", "error", "error_restoring", "error_extending", "error_managing"},
        ),
        ("delete", True, False, set(status.VOLUME) - {"in-use"}),
    ],
)
def test_force_and_multiattach_allow_more(
    verb: str, force: bool, multiattach: bool, wanted: set[str]
) -> None:
    assert status.allowed(status.VOLUME_MOVES[verb], force=force, multiattach=multiattach) == wanted


@pytest.mark.parametrize(
    ("remaining", "before", "after"),
    [
        ([], "detaching", "available"),
        (["attached", "attaching"], "detaching", "in-use"),
        (["attaching", "reserved"], "in-use", "attaching"),
        (["reserved"], "in-use", "reserved"),
        (["detached"], "in-use", "available"),
        (["error_attaching", "error_detaching"], "in-use", "available"),
        (["reserved", "detached"], "in-use", "available"),
        ([], "uploading", "uploading"),
    ],
)
def test_the_smallest_attach_status_that_is_no_error_decides(
    remaining: list[str], before: str, after: str
) -> None:
    assert status.after_detach(remaining, before) == after
