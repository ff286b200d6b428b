# SPDX-License-Identifier: Apache-2.0
"""A real tree of files: this Python's standard library and some thousand generated files with the awkward ones among them; and the
digest of a tree, by which every copy is verified. The same seed gives the same tree on every machine (the library apart)."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import stat
import sysconfig
from pathlib import Path
from typing import NamedTuple

FOLDERS, FILES = 40, 50
#: Bytes of a generated file; the mean is some 100 KiB.
LEAST, MOST = 1, 256 * 1024


class Digest(NamedTuple):
    """Of a whole tree: names, kinds, modes, link targets and contents."""

    sha256: str
    files: int
    bytes: int


def write(root: Path, seed: int = 1) -> None:
    root.mkdir()
    shutil.copytree(
        sysconfig.get_paths()["stdlib"],
        root / "python",
        symlinks=True,
        ignore=shutil.ignore_patterns(
            "site-packages", "dist-packages", "__pycache__", "config-*", "*.a", "*.so"
        ),
    )
    source = random.Random(seed)  # noqa: S311 - content, no secret
    for number in range(FOLDERS):
        folder = root / "generated" / f"{number:02}"
        folder.mkdir(parents=True)
        for name in range(FILES):
            (folder / f"{name:03}.bin").write_bytes(source.randbytes(source.randint(LEAST, MOST)))
    _awkward(root / "awkward", source)


def _awkward(folder: Path, source: random.Random) -> None:
    folder.mkdir()
    (folder / "empty").touch()
    (folder / "Größe 大小 🧱").write_text("a name that is not ASCII\n", encoding="utf-8")
    (folder / "link").symlink_to("../generated/00/000.bin")
    (folder / "twin").hardlink_to(folder / "empty")
    private = folder / "private"
    private.write_bytes(source.randbytes(4097))
    private.chmod(0o400)
    with (folder / "sparse").open("wb") as sparse:
        # A hole of 8 MiB with bytes at both of its ends.
        sparse.write(source.randbytes(4096))
        sparse.seek(8 << 20)
        sparse.write(source.randbytes(5000))


def change(root: Path, seed: int = 2) -> None:
    """Files rewritten in place, cut, appended to, removed, moved and added."""
    source = random.Random(seed)  # noqa: S311
    for number in range(0, FOLDERS, 2):
        folder = root / "generated" / f"{number:02}"
        with (folder / "000.bin").open("r+b") as file:
            file.write(source.randbytes(64))
        (folder / "001.bin").unlink()
        os.truncate(folder / "002.bin", 1)
        with (folder / "003.bin").open("ab") as file:
            file.write(source.randbytes(30_000))
        (folder / "004.bin").rename(folder / "moved.bin")
        (folder / "added.bin").write_bytes(source.randbytes(200_000))
    shutil.rmtree(root / "python" / "json")


def digest(root: Path) -> Digest:
    whole, files, size = hashlib.sha256(), 0, 0
    for path in sorted(root.rglob("*"), key=os.fsencode):
        facts = path.lstat()
        whole.update(os.fsencode(path.relative_to(root)) + f"\0{facts.st_mode:o}\0".encode())
        if stat.S_ISLNK(facts.st_mode):
            whole.update(os.fsencode(path.readlink()))
        elif stat.S_ISREG(facts.st_mode):
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
            files, size = files + 1, size + facts.st_size
    return Digest(whole.hexdigest(), files, size)
