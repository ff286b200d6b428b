# SPDX-License-Identifier: Apache-2.0
"""A decision in words, as an error, and under other circumstances."""

from __future__ import annotations

from breezeblock.model.units import GiB
from breezeblock.scheduler.decide import decide
from breezeblock.scheduler.explain import explain, largest, no_backend, what_if
from breezeblock.scheduler.policy import Policy
from tests.scheduler.place import pool, request

POLICY = Policy()
PLACES = [pool("a", allocated=85, reserved_bytes=3), pool("b", allocated=70), pool("c", up=False)]


def test_sentences_tell_the_outcome_and_every_pool() -> None:
    assert explain(decide(request(20, type_name="fast"), PLACES, POLICY)) == [
        "create_volume of 20 GiB, type fast: pool node@b#b was chosen, because node@b#b is the only one of 3 pools that can take it.",
        "pool node@b#b: chosen, weight 0.000 (capacity 30 x 1 gave 0.000).",
        "pool node@a#a: refused by capacity: needed 20 GiB, there was 12 GiB (thin, ratio 1.0, 3 GiB promised to others).",
        "pool node@c#c: refused by service: the service has not been heard of lately.",
    ]


def test_the_error_says_how_much_there_was_when_room_was_all_that_was_missing() -> None:
    error = no_backend(decide(request(40), PLACES, POLICY))
    assert str(error) == (
        "No pool can take the volume: none of 3 pools can take it; needed 40 GiB in one pool; there was at most 30 GiB."
    )
    assert error.code == "placement.no-backend"
    assert "explain" in error.remedy


def test_the_error_names_other_reasons_in_words() -> None:
    error = no_backend(decide(request(extra_specs={"volume_backend_name": "z"}), PLACES[:1], POLICY))
    assert "refused by capabilities: the type wants volume_backend_name 'z', it has 'a'" in str(error)
    assert "no pool has reported yet" in str(no_backend(decide(request(), [], POLICY)))


def test_what_if_compares_two_decisions() -> None:
    assert what_if(request(5), PLACES, POLICY, without=["node@b"]).sentence == (
        "It would go to node@a#a instead of node@b#b, because node@a#a is the only one of 2 pools that can take it."
    )
    more = what_if(request(5), PLACES, POLICY, size=50 * GiB)
    assert (
        more.sentence
        == "It would find no pool, because none of 3 pools can take it; now it would go to node@b#b."
    )
    assert more.before.chosen == "node@b#b"
    assert what_if(request(5), PLACES, POLICY, size=6 * GiB).sentence.startswith(
        "It would change nothing: node@b#b"
    )


def test_the_largest_volume_that_fits() -> None:
    assert largest(request(), PLACES, POLICY) == 30
    assert largest(request(), PLACES[2:], POLICY) == 0
    assert largest(request(), [pool(free="infinite")], POLICY) == 1 << 30
