# SPDX-License-Identifier: Apache-2.0
"""Import and export on real bytes: the API is scripted, the export is a real NBD server, qemu-img moves the bytes."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from breezeblock.cli import programs
from breezeblock.cli.exits import OK, REFUSED, USAGE
from tests.cli.conftest import Command
from tests.cli.fake import Fake, Reply, operation, volume

VOLUME, ATTACHMENT = volume()["id"], "cccccccc-0000-4000-8000-000000000001"
GIB, SIZE = 1 << 30, 5 << 20
pytestmark = pytest.mark.requires("qemu-img", "qemu-io", "qemu-nbd")


@pytest.fixture
def disk(fake: Fake, tmp_path: Path) -> Iterator[Path]:
    """The volume's bytes as its exporter has them: a sparse file of 1 GiB behind NBD, attached by the scripted API."""
    path, socket = tmp_path / "disk", tmp_path / "nbd.sock"
    with path.open("wb") as file:
        file.truncate(GIB)
    server = subprocess.Popen(
        ["qemu-nbd", "-f", "raw", "-x", "v", "-k", str(socket), "-t", "-e", "4", "--discard=unmap", str(path)]
    )
    deadline = time.monotonic() + 20
    while not socket.exists():
        assert server.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    info = {"driver_volume_type": "nbd", "uri": f"nbd+unix:///v?socket={socket}"}
    accepted = Reply(
        202, {"volume": volume(status="creating")}, {"X-Breezeblock-Operation": operation()["id"]}
    )
    fake.on("POST", "/v3/volumes", accepted)
    fake.on(
        "GET",
        f"/v3/breezeblock/operations/{operation()['id']}",
        Reply(200, {"operation": operation("succeeded")}),
    )
    fake.on("GET", f"/v3/volumes/{VOLUME}", Reply(200, {"volume": volume(size=1)}))
    fake.on("DELETE", f"/v3/volumes/{VOLUME}", Reply(202))
    fake.on(
        "POST", "/v3/attachments", Reply(200, {"attachment": {"id": ATTACHMENT, "connection_info": info}})
    )
    fake.on("POST", f"/v3/attachments/{ATTACHMENT}/action", Reply(204))
    fake.on("DELETE", f"/v3/attachments/{ATTACHMENT}", Reply(200, {"attachments": []}))
    yield path
    server.terminate()
    server.wait(20)


@pytest.fixture
def content(tmp_path: Path) -> Path:
    path = tmp_path / "image.raw"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    return path


def sha256(path: Path, count: int = -1) -> str:
    with path.open("rb") as file:
        return hashlib.sha256(file.read(count)).hexdigest()


def asked(fake: Fake) -> list[str]:
    return [f"{a.method} {a.path.removeprefix('/v3')}" for a in fake.asked]


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_an_imported_file_is_the_volumes_first_bytes(
    fake: Fake, command: Command, disk: Path, content: Path, tmp_path: Path, format: str
) -> None:
    path = content
    if format == "qcow2":
        path = tmp_path / "image.qcow2"
        subprocess.run(
            ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", content, path], check=True, timeout=60
        )
    ran = command("volume", "import", str(path), "--json")
    assert ran.status == 0, ran.err
    assert ran.document["import"]["format"] == format
    assert sha256(disk, SIZE) == sha256(content)
    assert disk.stat().st_blocks * 512 < 64 << 20, "zeros were written where a hole would do"
    assert fake.asked[0].body["volume"] == {"name": "image", "size": 1}
    assert asked(fake)[-2:] == [f"DELETE /attachments/{ATTACHMENT}", f"GET /volumes/{VOLUME}"]


@pytest.mark.parametrize("name", ["out.raw", "out.qcow2"])
def test_what_was_imported_comes_back_whole(
    command: Command, disk: Path, content: Path, tmp_path: Path, name: str
) -> None:
    assert command("volume", "import", str(content)).status == 0
    target = tmp_path / name
    ran = command("volume", "export", VOLUME, str(target), "--json")
    assert ran.status == 0, ran.err
    format = target.suffix.removeprefix(".")
    assert ran.document["export"]["format"] == format
    done = subprocess.run(
        ["qemu-img", "compare", "-f", format, "-F", "raw", target, disk], timeout=60, capture_output=True
    )
    assert done.returncode == 0, done.stdout
    assert target.stat().st_blocks * 512 < 64 << 20, "an export is sparse"
    assert not target.with_name(f"{name}.part").exists()
    assert target.stat().st_mode & 0o077 == 0, "a disk's content is nobody else's business"


def test_a_failed_import_leaves_neither_volume_nor_attachment(
    fake: Fake, command: Command, disk: Path, content: Path
) -> None:
    info = {"driver_volume_type": "nbd", "uri": "nbd+unix:///no-such-export?socket=/nowhere"}
    fake.on(
        "POST", "/v3/attachments", Reply(200, {"attachment": {"id": ATTACHMENT, "connection_info": info}})
    )
    ran = command("volume", "import", str(content))
    assert ran.status == REFUSED
    assert "qemu-img ended with status 1" in ran.err
    assert asked(fake)[-2:] == [f"DELETE /attachments/{ATTACHMENT}", f"DELETE /volumes/{VOLUME}"]


def test_a_failed_export_leaves_no_file(fake: Fake, command: Command, disk: Path, tmp_path: Path) -> None:
    info = {"driver_volume_type": "nbd", "uri": "nbd+unix:///no-such-export?socket=/nowhere"}
    fake.on(
        "POST", "/v3/attachments", Reply(200, {"attachment": {"id": ATTACHMENT, "connection_info": info}})
    )
    before = sorted(tmp_path.iterdir())
    assert command("volume", "export", VOLUME, str(tmp_path / "out.raw")).status == REFUSED
    assert sorted(tmp_path.iterdir()) == before


def test_a_header_that_names_other_files_is_refused_before_anything_is_made(
    fake: Fake, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "evil.qcow2"
    create = [
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-u",
        "-b",
        "/etc/passwd",
        "-F",
        "raw",
        str(path),
        "1M",
    ]
    subprocess.run(create, check=True, timeout=60)
    ran = command("volume", "import", str(path))
    assert ran.status == REFUSED
    assert "backing" in ran.err
    assert fake.asked == []


def test_a_size_below_the_images_is_refused_before_anything_is_made(
    fake: Fake, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "large.raw"
    with path.open("wb") as file:
        file.truncate(GIB + 1)
    ran = command("volume", "import", str(path), "--size", "1G")
    assert ran.status == USAGE
    assert "needed 2 GiB; there was 1 GiB" in ran.err
    assert fake.asked == []


def test_what_is_no_image_file_is_refused_before_anything_is_made(
    fake: Fake, command: Command, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    for path, why in (
        (tmp_path / "pipe", "no plain file"),
        (tmp_path, "no plain file"),
        (tmp_path / "empty", "is empty"),
    ):
        ran = command("volume", "import", str(path))
        assert ran.status == REFUSED
        assert why in ran.err
    assert fake.asked == []


def test_a_link_to_an_image_is_followed(
    fake: Fake, command: Command, disk: Path, content: Path, tmp_path: Path
) -> None:
    (tmp_path / "link.raw").symlink_to(content)
    assert command("volume", "import", str(tmp_path / "link.raw")).status == OK
    assert sha256(disk, SIZE) == sha256(content)


def test_no_file_gets_a_name_of_a_format_that_it_does_not_have(
    fake: Fake, command: Command, tmp_path: Path
) -> None:
    ran = command("volume", "export", VOLUME, str(tmp_path / "disk.vmdk"))
    assert ran.status == USAGE
    assert "needed raw or qcow2" in ran.err
    assert fake.asked == []


def test_a_name_that_was_exchanged_under_an_export_is_not_written_through(
    fake: Fake, command: Command, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, moved, out = tmp_path / "victim", tmp_path / "moved", tmp_path / "out.raw"
    victim.write_text("precious")
    real = programs.run_with_percent

    def exchanged(
        argv: Sequence[str], report: Callable[[float], None], *, pass_fds: Sequence[int] = ()
    ) -> None:
        (tmp_path / "out.raw.part").rename(moved)
        (tmp_path / "out.raw.part").symlink_to(victim)
        real(argv, report, pass_fds=pass_fds)

    monkeypatch.setattr(programs, "run_with_percent", exchanged)
    ran = command("volume", "export", VOLUME, str(out))
    assert ran.status == REFUSED
    assert "was exchanged while it was written" in ran.err
    assert victim.read_text() == "precious"
    assert not out.exists()


def test_a_name_that_was_exchanged_under_an_import_is_not_read_through(
    fake: Fake, command: Command, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, image = tmp_path / "secret", tmp_path / "in.raw"
    secret.write_bytes(b"secret" * 1000)
    image.write_bytes(b"mine" * 1024)
    real = programs.run_with_percent

    def exchanged(
        argv: Sequence[str], report: Callable[[float], None], *, pass_fds: Sequence[int] = ()
    ) -> None:
        image.unlink()
        image.symlink_to(secret)
        real(argv, report, pass_fds=pass_fds)

    monkeypatch.setattr(programs, "run_with_percent", exchanged)
    ran = command("volume", "import", str(image))
    assert ran.status == 0, ran.err
    assert disk.read_bytes().startswith(b"mine" * 1024)
    assert b"secret" not in disk.read_bytes()
