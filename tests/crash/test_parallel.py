# SPDX-License-Identifier: Apache-2.0
"""Many operations at the same moment on objects that share layers: when all have ended, nothing is left over and nothing is missing, also
when the service was killed among them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.crash import content
from tests.crash.world import World

pytestmark = [pytest.mark.lab]
WIDTH = 8


def _family(world: World, tag: int) -> tuple[str, list[str]]:
    """A volume and clones of it, each with a block of its own."""
    origin = world.volume(tag)
    made = [world.api.create_volume(f"clone-{n}", None, source_volid=origin)["id"] for n in range(WIDTH)]
    world.truth.settled(60.0)
    assert [id for id in made if not world.shows(f"volume-{id}", tag)] == []
    return origin, made


@pytest.mark.parametrize("backend", ["overlays"])
def test_deletes_side_by_side_leave_no_layer_that_they_shared(backend: str, world: World) -> None:
    for _ in range(3):
        origin, clones = _family(world, world.tag())
        with ThreadPoolExecutor(WIDTH) as pool:
            list(pool.map(world.api.delete_volume, [origin, *clones]))
        world.truth.settled(60.0)
        assert world.truth.problems() == []
        assert world.truth.tree().layers == {}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["overlays"])
@pytest.mark.parametrize("nth", [1, 3, 6, 9])
def test_a_kill_among_deletes_side_by_side_leaves_none_either(backend: str, nth: int, world: World) -> None:
    tag = world.tag()
    origin, clones = _family(world, tag)
    kept = clones.pop()
    world.service.arm("file.sweep.unlinked", nth)
    for id in [origin, *clones]:
        world.attempt(lambda id=id: world.api.delete_volume(id))  # type: ignore[misc]
    survived = world.outlived(grace=0.2) and world.service.disarm()
    if not survived:
        world.recover()
    # how many layers are unlinked by themselves depends on who comes first; so many always are
    assert not survived or nth > 6
    world.truth.settled(60.0)
    assert world.truth.problems() == []
    assert content.holds(world.layer(f"volume-{kept}"), tag)
    world.clear()
