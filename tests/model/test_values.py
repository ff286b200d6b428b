# SPDX-License-Identifier: Apache-2.0
"""Small values that cross every border: errors that describe themselves, secrets that cannot, sizes, extents, rows."""

from __future__ import annotations

import copy
import itertools
import json
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeblock.model.attachment import Attachment
from breezeblock.model.call import Context
from breezeblock.model.errors import Cancelled, Error, NoSpace, NotFound, OverQuota, Unreachable, catalogue
from breezeblock.model.extents import Extent, ExtentKind, Extents, merged
from breezeblock.model.observation import Found, Observation
from breezeblock.model.secret import Secret
from breezeblock.model.units import GiB, KiB, gib_ceil, human

# -- errors -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(catalogue()))
def test_every_entry_of_the_catalogue_says_what_and_what_to_do(code: str) -> None:
    entry = catalogue()[code]
    assert entry.summary.endswith(".")
    assert entry.default_remedy.endswith(".")
    assert 400 <= entry.http < 600
    assert str(entry()) == entry.summary


def test_a_code_names_one_entry() -> None:
    def below(cls: type[Error]) -> list[type[Error]]:
        return [cls, *[deeper for child in cls.__subclasses__() for deeper in below(child)]]

    ours = [cls for cls in below(Error) if cls.__module__.startswith("breezeblock.")]
    codes = [cls.code for cls in ours]
    assert sorted(codes) == sorted(set(codes))


def test_an_error_tells_people_and_machines_what_was_needed_and_had() -> None:
    error = OverQuota("too much", needed="3 gigabytes", had="2 left", key="gigabytes", limit=10)
    assert str(error) == "too much; needed 3 gigabytes; there was 2 left."
    described = error.describe()
    assert described == {
        "code": "quota.exceeded",
        "message": str(error),
        "remedy": error.remedy,
        "needed": "3 gigabytes",
        "had": "2 left",
        "facts": {"key": "gigabytes", "limit": 10},
    }
    assert json.loads(json.dumps(described)) == described


def test_what_a_retry_may_mend_is_said_by_the_entry() -> None:
    assert Unreachable().transient
    assert not any(cls().transient for cls in (NoSpace, NotFound, Cancelled))


# -- secrets ------------------------------------------------------------------------------------------------------------------


def test_a_secret_cannot_be_shown_or_carried_away() -> None:
    secret = Secret("hunter2")
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret:>20}",
        "{}".format(secret),  # noqa: UP032
        str([secret]),
        str({"a": secret}),
    ]
    assert [text for text in shown if "hunter2" in text] == []
    for carry in (pickle.dumps, copy.deepcopy, msgspec.json.encode, msgspec.msgpack.encode):
        with pytest.raises(TypeError):
            carry(secret)
    assert secret.reveal() == "hunter2"


def test_secrets_are_equal_by_value_only_to_secrets() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


# -- sizes and extents ----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 1 << 62))
def test_a_size_in_gib_never_loses_a_byte(size: int) -> None:
    assert gib_ceil(size) * GiB >= size
    assert (gib_ceil(size) - 1) * GiB < size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (KiB, "1 KiB"),
        (1536 * KiB, "1.5 MiB"),
        (GiB, "1 GiB"),
        (5000 * GiB, "4.9 TiB"),
    ],
)
def test_a_size_for_people(size: int, text: str) -> None:
    assert human(size) == text


pieces = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 3), st.sampled_from(list(ExtentKind))), max_size=20
)


@given(pieces, st.randoms())
def test_merged_extents_cover_the_same_bytes_and_have_no_like_neighbours(
    made: list[tuple[int, int, ExtentKind]], dice: object
) -> None:
    at, given_extents = 0, []
    for length, gap, kind in made:
        given_extents.append(Extent(at, length, kind))
        at += length + gap
    shuffled = list(given_extents)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    found = merged(shuffled)

    def covered(extents: list[Extent]) -> dict[int, ExtentKind]:
        return {byte: e.kind for e in extents for byte in range(e.offset, e.end)}

    assert covered(found) == covered(given_extents)
    assert all(a.end < b.offset or a.kind is not b.kind for a, b in itertools.pairwise(found))
    whole = Extents(at, found)
    assert whole.data_bytes() == sum(e.length for e in given_extents if e.kind is ExtentKind.DATA)


def test_a_map_that_overlaps_is_refused() -> None:
    with pytest.raises(ValueError, match="overlapping"):
        merged([Extent(0, 10), Extent(5, 10)])


# -- the rest -------------------------------------------------------------------------------------------------------------------


def test_an_observation_holds_a_value_only_where_there_is_one() -> None:
    assert Observation.done(1) == Observation(Found.DONE, 1)
    assert Observation.not_done().value is None
    assert Observation.unknown("no answer").detail == "no answer"
    assert Observation.partial(2).found is Found.PARTIAL


def test_a_context_without_an_engine_reports_and_checks_nothing() -> None:
    context = Context()
    context.progress(1, 2)
    context.check()
    seen: list[tuple[int, int]] = []
    Context(progress=lambda done, total: seen.append((done, total))).progress(1, 2)
    assert seen == [(1, 2)]


def test_an_attachments_documents_are_empty_until_they_are_written() -> None:
    fields = dict.fromkeys(Attachment.__struct_fields__, "")
    bare = Attachment(**fields)
    assert (bare.connector, bare.connection_info, bare.device) == ({}, {}, {})
    full = Attachment(**fields | {"connector_json": '{"host":"h"}'})
    assert full.connector == {"host": "h"}
