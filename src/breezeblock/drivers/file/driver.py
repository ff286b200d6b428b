# SPDX-License-Identifier: Apache-2.0
"""The file driver: volumes in a folder of this host. Translates between the Driver Protocol and the tree of layers; must never touch
the folder itself."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from breezeblock.drivers.driver import Capabilities, Kind, Object, PoolReport, Spec
from breezeblock.drivers.file.adopt import Inspect, adopt
from breezeblock.drivers.file.changes import extents
from breezeblock.drivers.file.flatten import DEEP, create_copy, is_deep
from breezeblock.drivers.file.fold import end_folds, fold, fold_live, give_way
from breezeblock.drivers.file.folder import Folder, checked, id_of, kind_of, object_name
from breezeblock.drivers.file.layers import SECTOR, Layers
from breezeblock.drivers.file.space import Space
from breezeblock.drivers.file.tree import format_of, owner_of
from breezeblock.host import files
from breezeblock.model.call import Context
from breezeblock.model.errors import BadSize, Failed, NotThere, Unsupported
from breezeblock.model.extents import Extents
from breezeblock.model.observation import Observation
from breezeblock.model.reach import FileReach, Live, Reach

#: Deletes after which lock files of long gone objects are looked for.
_SWEEP_LOCKS = 256


class FileDriver:
    """Satisfies `drivers.driver.Driver`. `keep_free`: bytes that stay free on the file system (None: 5 %, at most 1 GiB).
    `max_over_subscription_ratio` 1.0 promises no byte twice, so that no guest meets a full disk. `adopt_from`: folders besides
    adopt/ whose files may be taken in, once `inspect` (image.inspector.inspect) has read their headers. `deep`: how many layers in a
    chain make a volume from a source a copy. `made_before`: volumes lie in the folder, so it is never made anew."""

    def __init__(
        self,
        folder: Path,
        *,
        pool_name: str = "files",
        backend_id: str = "",
        keep_free: int | None = None,
        max_over_subscription_ratio: float = 1.0,
        adopt_from: Sequence[Path] = (),
        inspect: Inspect | None = None,
        deep: int = DEEP,
        made_before: bool = False,
    ) -> None:
        self._folder = Folder(folder)
        self._pool, self._backend_id = pool_name, backend_id
        self._adopt_from, self._inspect, self._deep = tuple(adopt_from), inspect, deep
        self._space = Space(self._folder, keep_free, max_over_subscription_ratio)
        self._deletes, self._made_before = itertools.count(1), made_before
        self._layers_or_none: Layers | None = None

    @property
    def _layers(self) -> Layers:
        assert self._layers_or_none is not None, "start() comes first"
        self._folder.require_there()
        return self._layers_or_none

    @contextlib.contextmanager
    def _changing(self, what: str) -> Iterator[Layers]:
        """Around every call that writes: a full disk, wherever it is met, is the one error that callers know."""
        layers = self._layers
        with files.full_is_no_space(f"working on {what}", self._folder.root):
            yield layers

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            storage_protocol="file",
            thin=True,
            clone=True,
            live_snapshot=True,
            online_extend=True,
            extents=True,
            checkpoint=True,
        )

    def start(self) -> None:
        if self._made_before:
            # A disk that is not mounted yet leaves an empty folder. A new marker there would take new volumes, call the old ones gone,
            # and hide the new ones once the disk is mounted.
            self._folder.require_there()
        marker = self._folder.open(self._backend_id)
        self._layers_or_none = Layers(self._folder, self._space, clones=marker.clones)
        self._layers_or_none.recover(Context())

    def pools(self) -> Sequence[PoolReport]:
        layers = self._layers
        sampled_at, tree = layers.tree()
        free, use = self._space.sample(tree)
        reason = (
            f"layers cannot be read: {', '.join(tree.unreadable)}"
            if tree.unreadable
            else ""
            if free
            else "the disk is full"
        )
        return [
            PoolReport(
                name=self._pool,
                total=free + use.allocated,
                free=free,
                allocated=use.allocated,
                provisioned=use.allocated + use.growth,
                sampled_at=sampled_at,
                capabilities=self.capabilities,
                max_over_subscription_ratio=self._space.ratio,
                usable=free > 0,
                reason=reason,
            )
        ]

    def name(self, id: str, kind: Kind) -> str:
        return object_name(id, kind)

    def create(self, spec: Spec, source: Object | None, ctx: Context) -> Object:
        if spec.size <= 0 or spec.size % SECTOR:
            raise BadSize("This is no size of a disk", needed=f"a multiple of {SECTOR} bytes", had=spec.size)
        name = object_name(spec.id, Kind.VOLUME)
        with self._changing(name) as layers:
            if source is None:
                layers.create(name, spec.size, ctx)
            elif is_deep(layers, checked(source.name), self._deep):
                create_copy(layers, name, spec.size, source.name, ctx)
            else:
                layers.create_from(name, spec.size, source.name, ctx)
        return self._object(name)

    def delete(self, obj: Object, ctx: Context) -> None:
        with self._changing(obj.name) as layers:
            for layer in layers.delete(checked(obj.name), ctx):
                with contextlib.suppress(
                    Failed
                ):  # the object is gone; what is left of it is tidy's, which will say why
                    fold(layers, layer, ctx)
            if next(self._deletes) % _SWEEP_LOCKS == 0:
                layers.locks.sweep(layers.is_named)

    def tidy(self, live: Mapping[str, Live], ctx: Context) -> int:
        with self._changing("the layers") as layers:
            if live:
                return fold_live(layers, live, ctx)
            return sum(fold(layers, layer, ctx) for layer in layers.sweep(None, ctx))

    def extend(self, obj: Object, size: int, live: Live | None, ctx: Context) -> Object:
        with self._changing(obj.name) as layers:
            end_folds(layers, checked(obj.name))
            layers.extend(obj.name, -(-size // SECTOR) * SECTOR, live, ctx)
        return self._object(obj.name)

    def snapshot(
        self, of: Sequence[tuple[Object, str]], live: Mapping[str, Live], ctx: Context
    ) -> Sequence[Object]:
        if len(of) > 1 and any(volume.id in live for volume, _ in of):
            raise Unsupported(
                "Attached volumes cannot be snapshotted at one point in time here",
                needed="detached volumes, or one attached volume",
                had=f"{len(of)} volumes, {len(live)} attached",
            )
        names = [object_name(id, Kind.SNAPSHOT) for _, id in of]
        for (volume, _), name in zip(of, names, strict=True):
            with self._changing(name) as layers:
                layers.snapshot(checked(volume.name), name, live.get(volume.id), ctx)
        return [self._object(name) for name in names]

    def checkpoint(self, volume: Object, id: str, live: Live | None, ctx: Context) -> Object:
        name = object_name(id, Kind.CHECKPOINT)
        with self._changing(name) as layers:
            layers.snapshot(checked(volume.name), name, live, ctx)
        return self._object(name)

    def revert(self, volume: Object, to: Object, ctx: Context) -> Object:
        with self._changing(volume.name) as layers:
            end_folds(layers, checked(volume.name))
            layers.revert(volume.name, checked(to.name), ctx)
        return self._object(volume.name)

    def find(self, name: str) -> Observation[Object]:
        checked(name)
        gone = self._folder.unreachable()
        if gone is not None or self._layers_or_none is None:
            return Observation.unknown(str(gone or "the driver has not started"))
        layers = self._layers_or_none
        layer = layers.layer(name)
        if layer is not None:
            return Observation.done(self._described(name, layer.file, layer.size))
        drafts = layers.work.of(name)
        if drafts:
            return Observation.partial(detail=f"unpublished: {', '.join(path.name for path in drafts)}")
        if layers.is_named(name):
            return Observation.partial(detail="its name stands, its layer is not there")
        return Observation.not_done()

    def list(self, after: str | None, limit: int) -> Sequence[Object]:
        tree = self._layers.reader.read()
        names = sorted(
            name for name in tree.names if (after is None or name > after) and tree.names[name] in tree.layers
        )
        return [
            self._described(name, tree.names[name], tree.layers[tree.names[name]].size)
            for name in names[:limit]
        ]

    def adopt(self, ref: Mapping[str, str], id: str, ctx: Context) -> Object:
        if self._inspect is None:
            raise Unsupported(
                "This backend adopts no files", needed="an inspector of image headers", had="none"
            )
        name = object_name(id, Kind.VOLUME)
        with self._changing(name) as layers:
            adopt(layers, name, ref, self._adopt_from, self._inspect, ctx)
        return self._object(name)

    def reach(self, obj: Object) -> Reach:
        give_way(self._layers, checked(obj.name))
        layer = self._layers.layer(obj.name)
        if layer is None:
            raise NotThere(
                f"There is no {obj.name} in {self._folder.root}", needed=obj.name, had="no such name"
            )
        return FileReach(str(self._layers.path(layer.file)), layer.format)

    def extents(self, obj: Object, since: Object | None) -> Extents:
        return extents(self._layers, checked(obj.name), checked(since.name) if since is not None else None)

    def _object(self, name: str) -> Object:
        layer = self._layers.layer(name)
        if layer is None:
            raise NotThere(f"{name} was removed while it was worked on", needed=name, had="no such name")
        return self._described(name, layer.file, layer.size)

    def _described(self, name: str, file: str, size: int) -> Object:
        kind = kind_of(name)
        return Object(
            kind=kind,
            id=id_of(name),
            name=name,
            size=size,
            pool=self._pool,
            parent="" if kind is Kind.VOLUME else owner_of(file),
            provider={"format": format_of(file)},
        )
