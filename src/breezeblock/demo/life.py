# SPDX-License-Identifier: Apache-2.0
"""What the steps share while a volume lives: the service, the content, the volumes made so far. Runs the steps, and when one fails says
which, why, and what the operation had done. Must never end without having tidied, unless it is asked to keep everything."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from breezeblock.cli.exits import Ended
from breezeblock.demo import traces
from breezeblock.demo.content import Content, Seen
from breezeblock.demo.instance import Instance
from breezeblock.demo.mounted import Mounted
from breezeblock.demo.report import Report
from breezeblock.demo.streamed import Streamed


class Done(NamedTuple):
    """What a step did: bytes moved or verified, and what was seen."""

    moved: int = 0
    note: str = ""


Step = Callable[["Life"], Done]


class Life:
    def __init__(self, report: Report, *, data: Path | None, listen: str) -> None:
        self.report = report
        self.folder = Path(tempfile.mkdtemp(prefix="breezeblock-demo-"))
        self.instance = Instance(self.folder, data, listen)
        self.content: Content = (
            Mounted(self.folder / "mounts") if os.geteuid() == 0 else Streamed(self.folder / "stream")
        )
        #: name -> id of what is still there, in the order of making.
        self.volumes: dict[str, str] = {}
        self.snapshots: dict[str, str] = {}
        #: What must be found in which volume.
        self.expected: dict[str, Seen] = {}

    # What steps do with it -----------------------------------------------------------------------

    def ask(self, *words: str) -> Any:
        return self.instance.ask(*words)

    def create(self, name: str, *words: str) -> str:
        """`volume create`; the id."""
        volume = str(self.ask("volume", "create", name, *words)["volume"]["id"])
        self.volumes[name] = volume
        return volume

    def attach(self, name: str, *, new: bool = False) -> str:
        """`attach`, and the content gets at it; where it is."""
        found = self.ask("attach", self.volumes[name], *self.content.attach_options(name, new=new))[
            "attachment"
        ]
        reached = (
            found.get("device")
            if isinstance(self.content, Mounted)
            else found.get("uri") or found.get("device")
        )
        self.content.attached(name, str(reached))
        return str(reached)

    def detach(self, name: str) -> None:
        self.ask("detach", self.volumes[name], *self.content.detach_options())
        self.content.detached(name)

    def delete(self, name: str) -> str:
        """With its snapshots; the id that is gone."""
        self.ask("volume", "delete", self.volumes[name], "--cascade")
        return self.volumes.pop(name)

    def verify(self, name: str, against: str) -> Seen:
        """Reads everything in the volume and compares it with what is expected of `against`."""
        found, expected = self.content.digest(name), self.expected[against]
        if found.sha256 != expected.sha256:
            raise RuntimeError(
                f"the bytes of '{name}' are wrong: expected {expected.what} with sha256 {expected.sha256[:16]}…, "
                f"found {found.what} with {found.sha256[:16]}…"
            )
        return found

    # Running -------------------------------------------------------------------------------------

    def run(self, steps: Sequence[tuple[str, Step]]) -> bool:
        """True when every step did."""
        for title, step in steps:
            self.report.begin(title)
            try:
                done = step(self)
            except Ended as why:
                self.report.failed(str(why))
                self._tell(why.operation)
                return False
            except (RuntimeError, OSError, KeyError, AssertionError) as why:
                self.report.failed(
                    f"{type(why).__name__}: {why}" if not isinstance(why, RuntimeError) else str(why)
                )
                self._tell("")
                return False
            self.report.done(done.moved, done.note)
        return True

    def _tell(self, operation: str) -> None:
        """The operation that failed, or the last one, as its timeline; and the end of the service's log."""
        self.report.say()
        if self.instance.running:
            if not operation:
                listed = self.instance.run("operation", "list", "--limit", "10", timeout=20)
                self.report.say(listed.stdout.rstrip())
            else:
                self.report.say(self.instance.run("operation", "show", operation, timeout=20).stdout.rstrip())
        self.report.say(f"the service's last words: {self.instance.last_words()}")

    def tidy(self, *, keep: bool) -> list[str]:
        """Ends everything that was started; what could not be removed is answered."""
        if keep:
            self.instance.stop()
            return []
        self.content.abandon()
        if self.instance.running:
            self._delete_everything()
        self.instance.stop()
        # A given data folder may hold other people's attached disks: only our own folder is swept.
        left = traces.remove(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        return left + ([f"folder {self.folder}"] if self.folder.exists() else [])

    def _delete_everything(self) -> None:
        """Only what this demonstration made: the data folder may be somebody's."""
        for volume in self.volumes.values():
            for words in (("detach", volume, "--force"), ("volume", "delete", volume, "--cascade")):
                try:
                    self.instance.run(*words, "--timeout", "30", timeout=60)
                except (OSError, RuntimeError, TimeoutError):
                    continue
        self.volumes.clear()
