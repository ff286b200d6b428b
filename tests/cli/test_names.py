# SPDX-License-Identifier: Apache-2.0
"""Names and ids: either is accepted, nothing is guessed."""

from __future__ import annotations

import pytest

from breezeblock.cli.exits import OK, REFUSED, USAGE
from tests.cli.conftest import Command
from tests.cli.fake import Fake, Reply, volume

ONE, TWO = "aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"


def test_an_id_is_taken_as_it_is(fake: Fake, command: Command) -> None:
    fake.on("GET", f"/v3/volumes/{ONE}", Reply(200, {"volume": volume()}))
    assert command("volume", "show", ONE).status == 0
    assert [asked.path for asked in fake.asked] == [f"/v3/volumes/{ONE}"]


def test_a_name_that_one_volume_has_is_as_good_as_its_id(fake: Fake, command: Command) -> None:
    fake.on(
        "GET",
        "/v3/volumes",
        Reply(200, {"volumes": [{"id": ONE, "name": "data"}, {"id": TWO, "name": "data2"}]}),
    )
    fake.on("GET", f"/v3/volumes/{ONE}", Reply(200, {"volume": volume()}))
    ran = command("volume", "show", "data", "--json")
    assert ran.document["volume"]["id"] == ONE


def test_an_ambiguous_name_lists_the_ids_and_changes_nothing(fake: Fake, command: Command) -> None:
    fake.on(
        "GET",
        "/v3/volumes",
        Reply(200, {"volumes": [{"id": ONE, "name": "data"}, {"id": TWO, "name": "data"}]}),
    )
    ran = command("volume", "delete", "data")
    assert ran.status == REFUSED
    assert "2 volumes are named 'data'" in ran.err
    assert ONE in ran.err
    assert TWO in ran.err
    assert {asked.method for asked in fake.asked} == {"GET"}


def test_one_wrong_name_among_several_deletes_nothing(fake: Fake, command: Command) -> None:
    fake.on("GET", "/v3/volumes", Reply(200, {"volumes": []}))
    ran = command("volume", "delete", ONE, "no-such")
    assert ran.status == REFUSED
    assert "there is no volume named 'no-such'" in ran.err
    assert {asked.method for asked in fake.asked} == {"GET"}


def test_lists_are_followed_page_after_page(fake: Fake, command: Command) -> None:
    link = [{"rel": "next", "href": f"{fake.endpoint}/v3/volumes/detail?limit=1000&marker={ONE}"}]
    first = Reply(200, {"volumes": [volume(id=ONE)], "volumes_links": link})
    fake.on("GET", "/v3/volumes/detail", first, Reply(200, {"volumes": [volume(id=TWO)]}))
    ran = command("volume", "list", "--json")
    assert [item["id"] for item in ran.document["volumes"]] == [ONE, TWO]
    assert fake.asked[1].query["marker"] == [ONE]


def test_control_characters_in_a_name_do_not_reach_the_terminal(fake: Fake, command: Command) -> None:
    fake.on("GET", "/v3/volumes/detail", Reply(200, {"volumes": [volume(name="a\x1b[2Jb")]}))
    ran = command("volume", "list")
    assert "\x1b" not in ran.out
    assert ran.status == 0


def test_a_key_of_any_characters_reaches_the_service_as_one_segment(fake: Fake, command: Command) -> None:
    ident = volume()["id"]
    fake.on("DELETE", f"/v3/volumes/{ident}/metadata/a%20b%2Fc%25%3F", Reply(200))
    fake.on("GET", f"/v3/volumes/{ident}", Reply(200, {"volume": volume()}))
    assert command("volume", "set", ident, "--unset", "a b/c%?").status == OK


@pytest.mark.parametrize(
    "words",
    [
        ("volume", "delete", ""),
        ("volume", "delete", ONE, ""),
        ("detach", ""),
        ("explain", ""),
        ("operation", "show", ""),
    ],
)
def test_an_empty_word_is_refused_although_one_volume_has_an_empty_name(
    fake: Fake, command: Command, words: tuple[str, ...]
) -> None:
    fake.on("GET", "/v3/volumes", Reply(200, {"volumes": [{"id": TWO, "name": ""}]}))
    ran = command(*words)
    assert ran.status == USAGE
    assert "an empty word names no volume" in ran.err
    assert fake.asked == []
