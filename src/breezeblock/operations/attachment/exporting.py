# SPDX-License-Identifier: Apache-2.0
"""The two Effects that every connection shares: export a volume and let a host in, and take both back. One place, because an export that is
made twice or forgotten is how data is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from breezeblock.drivers.driver import Kind
from breezeblock.flow.task import Effect, Work
from breezeblock.model.errors import Busy, Unsupported
from breezeblock.model.observation import Observation
from breezeblock.model.units import GiB
from breezeblock.operations.ports import Exported, backend, choose_target, object_of
from breezeblock.store import attachments, qos, volumes
from breezeblock.targets.target import Mode


class Admitted(msgspec.Struct, frozen=True):
    """What `export` returns: the stored Exported and the connection info ({driver_volume_type, data})."""

    exported: Exported
    connection: dict[str, Any]


def queue(work: Work) -> str:
    return str(work.args["queue"])


def export(work: Work, intent: Any) -> Any:
    """args: volume_id, backend_id, connector, mode, encrypted, qos. Idempotent: a standing export is found and used."""
    args = work.args
    home = backend(work.ports, args["backend_id"])
    volume, stored = work.ports.read(
        lambda tx: (volumes.get(tx, args["volume_id"]), attachments.export_of(tx, args["volume_id"]))
    )
    obj = object_of(home.driver, volume.id, Kind.VOLUME, volume.object_json, volume.size * GiB)
    reach = home.driver.reach(obj)
    if stored:
        known = msgspec.json.decode(stored, type=Exported).target
    else:
        known = choose_target(home, reach, args["connector"], local_host=work.ports.host)
    target = home.targets[known]
    mode = Mode.RO if args["mode"] == "ro" else Mode.RW
    made = target.export(reach, volume.id, obj.size, mode, work.call)
    info = target.admit(made, args["connector"], work.call)
    if info.secrets:  # nothing is sealed yet, so a secret must not get as far as the journal
        raise Unsupported(
            "this target's connection carries secrets, which cannot be stored sealed yet",
            needed="a target without secrets in its connection info",
            had=", ".join(sorted(info.secrets)),
        )
    data = dict(info.data) | {
        "volume_id": volume.id,
        "access_mode": mode.value,
        "encrypted": False,
        "qos_specs": work.ports.read(lambda tx: qos.of_volume(tx, volume)),
        "cacheable": False,
        "enforce_multipath": bool(args["connector"].get("enforce_multipath", False)),
    }
    connection = {"driver_volume_type": info.driver_volume_type, "data": data}
    return msgspec.to_builtins(Admitted(Exported(known, made), connection))


def observe_export(work: Work, intent: Any) -> Observation[Any]:
    """An export is cheap to make again and finds itself standing: always done again, never guessed."""
    return Observation.not_done()


def unexport(work: Work, intent: Any, result: Any = None) -> Any:
    """Take the admission back, and the export when nobody shares it. Raises Busy while a session lives (unless forced)."""
    args = work.args
    home = backend(work.ports, args["backend_id"])
    stored = work.ports.read(lambda tx: attachments.export_of(tx, args["volume_id"]))
    exported = msgspec.json.decode(stored, type=Exported) if stored else None
    if exported is None and result is not None:
        exported = msgspec.convert(result, Admitted).exported
    if exported is None:
        exported = _standing(home, args["volume_id"])
    if exported is None:
        return None
    target = home.targets[exported.target]
    if target.dismiss(exported.export, _admitted(work), work.call):
        return {"shared": True}
    try:
        target.unexport(exported.export, work.call, force=bool(args.get("force")))
    except Busy as error:
        error.remedy = (
            "Disconnect the volume on its host first (unmount, breezeblock detach), or force the detach."
        )
        raise
    return {"ended": exported.export.name}


def _admitted(work: Work) -> Mapping[str, Any] | None:
    """Whom the export let in: as the request said, or (it came while that one was still being let in) as recorded since."""
    args = work.args
    if args["connector"]:
        return dict(args["connector"])
    attachment = work.ports.read(lambda tx: attachments.find(tx, args["attachment_id"]))
    return (attachment.connector or None) if attachment is not None else None


def _standing(home: Any, volume_id: str) -> Exported | None:
    """An export that was made but never recorded: found by its name."""
    for name, target in home.targets.items():
        seen = target.find(target.name(volume_id))
        if seen.value is not None:
            return Exported(name, seen.value)
    return None


EXPORT = Effect("export", export, observe=observe_export, undo=unexport, queue=queue)
UNEXPORT = Effect("unexport", unexport, queue=queue)
