# SPDX-License-Identifier: Apache-2.0
"""NBD exports: the live port, a daemon that was killed, and every instant at which the service may be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from breezeblock.host import processes
from breezeblock.host.records import load
from breezeblock.model import errors
from breezeblock.model.observation import Found
from breezeblock.targets.nbd import NbdTarget
from breezeblock.targets.nbd_records import NbdExportRecord
from breezeblock.targets.target import Export, Mode
from tests.lab.data_path import HERE, MIB, Ground, run

pytestmark = [
    pytest.mark.lab,
    pytest.mark.requires("qemu-storage-daemon", "qemu-img", "qemu-io", "nbdinfo", "root"),
]

SIZE = 64 * MIB


def record(ground: Ground, name: str = "volume-v1") -> NbdExportRecord:
    found = load(ground.run / "exports" / name / "export.json", NbdExportRecord)
    assert found is not None
    return found


def pid(ground: Ground) -> int:
    process = record(ground).daemon.process
    assert process is not None
    return process.pid


def write(uri: str, pattern: int, at: str = "0") -> None:
    run(["qemu-io", "-f", "raw", "-c", f"write -P {pattern} {at} 1M", "-c", "flush", uri])


def holds(uri: str, pattern: int, at: str = "0") -> None:
    """Asserts: qemu-io says so when a byte differs."""
    assert "Pattern verification failed" not in run(
        ["qemu-io", "-r", "-f", "raw", "-c", f"read -P {pattern} {at} 1M", uri]
    )


def nbd_size(uri: str) -> int:
    return int(run(["nbdinfo", "--size", uri]))


def test_the_exporter_is_alone_in_its_session_and_holds_nothing_of_the_service(ground: Ground) -> None:
    target = ground.nbd()
    with (ground.folder / "a file of the service").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        export = ground.exported(target, ground.image("a", "qcow2"))
    daemon = pid(ground)
    assert os.getsid(daemon) == os.getpgid(daemon) != os.getsid(0)
    assert Path(f"/proc/{daemon}/cwd").readlink() == Path("/")
    assert not [
        fd for fd in Path(f"/proc/{daemon}/fd").iterdir() if "a file of the service" in str(fd.readlink())
    ]
    assert "SECRET_OF_THE_SERVICE" not in Path(f"/proc/{daemon}/environ").read_text()
    assert Path(f"/proc/{daemon}/stat").read_text().rpartition(")")[2].split()[1] != str(os.getpid())
    target.unexport(export, ground.ctx)


def test_a_killed_daemon_makes_a_partial_export_that_exporting_again_mends(ground: Ground) -> None:
    target, image = ground.nbd(), ground.image("a", "qcow2")
    export = ground.exported(target, image)
    uri = export.provider["uri"]
    write(uri, 7)
    os.kill(pid(ground), signal.SIGKILL)
    assert processes.wait(record(ground).daemon.process, 5.0)  # type: ignore[arg-type]
    seen = ground.nbd().find(export.name)
    assert (seen.found, seen.value) == (Found.PARTIAL, export)
    assert target.live(export) is None
    assert list(target.sessions(export)) == []
    again = ground.exported(ground.nbd(), image)
    assert again.name == export.name
    assert again.provider["uri"] != uri  # the clients of the dead one do not come back unnoticed
    holds(again.provider["uri"], 7)
    target.unexport(export, ground.ctx)


def test_a_dead_export_can_be_taken_back(ground: Ground) -> None:
    target = ground.nbd()
    export = ground.exported(target, ground.image("a", "raw"))
    os.kill(pid(ground), signal.SIGKILL)
    target.unexport(export, ground.ctx)
    assert target.find(export.name).found is Found.NOT_DONE


def test_a_stopped_daemon_is_unknown_and_not_acted_upon(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = ground.nbd()
    export = ground.exported(target, ground.image("a", "raw"))
    os.kill(pid(ground), signal.SIGSTOP)
    monkeypatch.setattr("breezeblock.host.storage_daemon.serves.__kwdefaults__", {"timeout": 0.2})
    seen = target.find(export.name)
    os.kill(pid(ground), signal.SIGCONT)
    assert seen.found is Found.UNKNOWN
    assert target.find(export.name).found is Found.DONE
    target.unexport(export, ground.ctx)


def test_after_a_boot_an_export_is_only_partial(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    target, image = ground.nbd(), ground.image("a", "raw")
    export = ground.exported(target, image)
    daemon = record(ground).daemon.process
    assert daemon is not None
    with monkeypatch.context() as later:
        later.setattr(processes, "boot_id", lambda: "another-boot")
        assert not processes.alive(daemon)
        assert target.find(export.name).found is Found.PARTIAL
    processes.kill(daemon)  # as the boot would have done
    assert ground.exported(target, image).name == export.name
    target.unexport(export, ground.ctx)


def test_an_image_that_somebody_else_writes_is_busy(ground: Ground) -> None:
    image = ground.image("a", "qcow2")
    first = ground.exported(ground.nbd(), image)
    second = NbdTarget(ground.folder / "other")
    with pytest.raises(errors.Busy, match="lock"):
        second.export(image, "v1", SIZE, Mode.RW, ground.ctx)
    assert list((ground.folder / "other" / "exports").iterdir()) == []
    ground.nbd().unexport(first, ground.ctx)


def test_sockets_find_room_however_long_the_folder_is(ground: Ground) -> None:
    deep = ground.folder / ("d" * 60) / ("e" * 60)
    target = NbdTarget(deep)
    export = ground.exported(target, ground.image("a", "raw"))
    assert nbd_size(export.provider["uri"]) == SIZE
    socket = export.provider["uri"].partition("socket=")[2]
    assert not socket.startswith(str(ground.folder))
    assert Path(socket).parent.stat().st_mode & 0o077 == 0
    target.unexport(export, ground.ctx)
    assert not Path(socket).parent.exists()


def test_the_live_port_switches_to_an_overlay_once(ground: Ground) -> None:
    target = ground.nbd()
    export = ground.exported(target, ground.image("base", "qcow2"))
    uri, live = export.provider["uri"], target.live(export)
    assert live is not None
    write(uri, 1)
    overlay = ground.image("top", "qcow2", on=Path(live.active()))
    live.snapshot(overlay.path)
    live.snapshot(overlay.path)
    assert live.active() == overlay.path
    write(uri, 2)
    holds(uri, 2)
    target.unexport(export, ground.ctx)
    run(["qemu-io", "-r", "-f", "qcow2", "-c", "read -P 1 0 1M", str(ground.disks / "base.qcow2")])
    chain = run(["qemu-img", "info", "--output=json", "--backing-chain", "-f", "qcow2", overlay.path])
    assert chain.count('"filename"') >= 2


def test_an_overlay_on_a_raw_file_works_too(ground: Ground) -> None:
    target = ground.nbd()
    export = ground.exported(target, ground.image("base", "raw"))
    live = target.live(export)
    assert live is not None
    write(export.provider["uri"], 3)
    live.snapshot(ground.image("top", "qcow2", on=Path(live.active())).path)
    write(export.provider["uri"], 4, at="1M")
    holds(export.provider["uri"], 3)
    live.fold(None)
    assert live.active() == str(ground.disks / "top.qcow2")
    target.unexport(export, ground.ctx)
    alone = run(["qemu-img", "info", "--output=json", "-f", "qcow2", str(ground.disks / "top.qcow2")])
    assert "backing-filename" not in alone


def test_an_overlay_that_stands_on_something_else_is_refused(ground: Ground) -> None:
    target = ground.nbd()
    export = ground.exported(target, ground.image("base", "qcow2"))
    stranger = ground.image("stranger", "qcow2")
    overlay = ground.image("top", "qcow2", on=Path(stranger.path))
    live = target.live(export)
    assert live is not None
    with pytest.raises(errors.DeviceWrong) as refused:
        live.snapshot(overlay.path)
    assert stranger.path in str(refused.value)
    assert live.active() == str(ground.disks / "base.qcow2")
    target.unexport(export, ground.ctx)


def test_a_switch_that_was_missed_is_caught_up_at_the_next_export(ground: Ground) -> None:
    """The driver had made the overlay, the service was killed before the daemon was switched: forward, never back."""
    target = ground.nbd()
    base = ground.image("base", "qcow2")
    export = ground.exported(target, base)
    overlay = ground.image("top", "qcow2", on=Path(base.path))
    second = ground.image("second", "qcow2", on=Path(overlay.path))
    assert target.export(second, "v1", SIZE, Mode.RW, ground.ctx) == export
    live = target.live(export)
    assert live is not None
    assert live.active() == second.path
    with pytest.raises(errors.DeviceWrong):
        target.export(ground.image("stranger", "raw"), "v1", SIZE, Mode.RW, ground.ctx)
    target.unexport(export, ground.ctx)


def test_folding_keeps_the_bytes_and_drops_the_layers_between(ground: Ground) -> None:
    target = ground.nbd()
    export = ground.exported(target, ground.image("l0", "qcow2"))
    uri, live = export.provider["uri"], target.live(export)
    assert live is not None
    write(uri, 10, at="0M")
    for number in (1, 2, 3):
        live.snapshot(ground.image(f"l{number}", "qcow2", on=Path(live.active())).path)
        write(uri, 10 + number, at=f"{number}M")
    base = str(ground.disks / "l0.qcow2")
    live.fold(base)
    live.fold(base)
    for between in ("l1", "l2"):  # closed by the daemon: the driver may remove them
        (ground.disks / f"{between}.qcow2").unlink()
    for number in range(4):
        holds(uri, 10 + number, at=f"{number}M")
    with pytest.raises(errors.DeviceWrong):
        live.fold(str(ground.disks / "l1.qcow2"))
    live.fold(None)
    (ground.disks / "l0.qcow2").unlink()
    target.unexport(export, ground.ctx)
    export = ground.exported(target, ground.image("l3", "qcow2"))
    uri = export.provider["uri"]
    for number in range(4):
        holds(uri, 10 + number, at=f"{number}M")
    target.unexport(export, ground.ctx)


def test_resizing_works_while_nobody_is_connected_and_is_refused_otherwise(ground: Ground) -> None:
    target = ground.nbd()
    assert target.capabilities.live_resize is False
    export = ground.exported(target, ground.image("a", "qcow2"))
    uri, live = export.provider["uri"], target.live(export)
    assert live is not None
    live.resize(2 * SIZE)
    live.resize(2 * SIZE)
    assert nbd_size(uri) == 2 * SIZE
    with pytest.raises(errors.BadSize):
        live.resize(SIZE)
    with subprocess.Popen(
        ["qemu-io", "-f", "raw", uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write("length\n")
        client.stdin.flush()
        client.stdout.readline()
        with pytest.raises(errors.Unsupported):
            live.resize(3 * SIZE)
        client.communicate("read 0 512\nquit\n", timeout=10)
        assert client.returncode == 0
    target.resized(export, 3 * SIZE, ground.ctx)
    assert nbd_size(uri) == 3 * SIZE
    assert target.admit(export, HERE, ground.ctx).data["size"] == 3 * SIZE
    target.unexport(export, ground.ctx)


def test_calls_at_once_for_one_volume_give_one_export_and_for_many_do_not_wait(ground: Ground) -> None:
    target, image = ground.nbd(), ground.image("a", "qcow2")
    others = {f"w{number}": ground.image(f"w{number}", "raw") for number in range(6)}
    with ThreadPoolExecutor(12) as pool:
        same = [pool.submit(ground.exported, target, image) for _ in range(6)]
        many = [pool.submit(ground.exported, target, file, name) for name, file in others.items()]
        exports = {str(done.result(60)) for done in same}
        assert len(exports) == 1
        assert len({done.result(60).provider["uri"] for done in many}) == 6
        ended = [pool.submit(target.unexport, done.result(), ground.ctx) for done in (*same, *many)]
        assert [done.result(60) for done in ended] == [None] * 12
    assert list((ground.run / "exports").iterdir()) == []


def test_a_size_reached_behind_the_daemon_is_told_to_it(ground: Ground) -> None:
    """The volume was extended while its export stood unused, and the service was killed before it could tell."""
    target, image = ground.nbd(), ground.image("a", "qcow2")
    export = ground.exported(target, image)
    again = ground.exported(target, image, size=2 * SIZE)
    assert (export.size, again.size) == (SIZE, 2 * SIZE)
    assert nbd_size(again.provider["uri"]) == 2 * SIZE
    target.unexport(again, ground.ctx)


SERVICE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from breezeblock.model.call import Context
from breezeblock.model.reach import FileReach
from breezeblock.targets.nbd import NbdTarget
from breezeblock.targets.target import Mode
target = NbdTarget(Path(sys.argv[1]))
export = target.export(FileReach(sys.argv[2], "qcow2"), "v1", int(sys.argv[3]), Mode.RW, Context())
target.unexport(export, Context())
"""


def killed_at(point: str, ground: Ground, image: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, str(ground.run), image, str(SIZE)],
        env={**os.environ, "BREEZEBLOCK_KILL_AT": point},
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("point", ["nbd.export.intended", "nbd.export.started", "nbd.unexport.stopped"])
def test_a_service_killed_at_any_point_leaks_nothing_and_the_next_goes_on(ground: Ground, point: str) -> None:
    image = ground.image("a", "qcow2")
    killed_at(point, ground, image.path)
    target: NbdTarget = ground.nbd()
    target.start()
    name = target.name("v1")
    assert target.find(name).found is Found.PARTIAL
    assert list(target.list()) == [name]
    export: Export = ground.exported(target, image)
    assert target.find(name).found is Found.DONE
    assert len([left for left in ground.left() if left.startswith("process")]) == 1
    target.unexport(export, ground.ctx)


@pytest.mark.parametrize("point", ["nbd.export.intended", "nbd.export.started", "nbd.unexport.stopped"])
def test_what_a_killed_service_left_can_be_taken_back_at_once(ground: Ground, point: str) -> None:
    image = ground.image("a", "qcow2")
    killed_at(point, ground, image.path)
    target = ground.nbd()
    seen = target.find(target.name("v1"))
    assert seen.value is not None
    target.unexport(seen.value, ground.ctx)
    assert target.find(seen.value.name).found is Found.NOT_DONE
    assert list((ground.run / "exports").iterdir()) == []
