# SPDX-License-Identifier: Apache-2.0
"""The demonstration itself, whole: as root on a block device, and interrupted. Nothing may be left behind in any case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.demo import __main__ as program
from breezeblock.demo import traces
from breezeblock.demo.life import Done, Life
from breezeblock.demo.report import Report
from breezeblock.demo.steps import STEPS

DEMO = [sys.executable, "-m", "breezeblock.demo"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.requires("root", "loop", "fuse", "qemu-storage-daemon", "nbdfuse", "mkfs.ext4"),
]


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the demonstration makes its temporary folder; empty again afterwards, with nothing on the machine that names it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # The same for a demonstration in this process, where the module has chosen already.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []
    assert traces.mounts((tmp_path,)) == []
    assert traces.loops((tmp_path,)) == []
    assert list(traces.processes((tmp_path,))) == []


@pytest.fixture
def handlers() -> Iterator[None]:
    """A demonstration in this process changes what signals do here."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_volume_lives_its_whole_life_and_nothing_is_left(room: Path) -> None:
    done = subprocess.run([*DEMO, "--exit"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout[done.stdout.index("STEP ") :].splitlines()
    assert len(table) == 1 + 13 + 1
    assert "0 errors" in done.stdout
    moved = [line for line in table if line.startswith("total")]
    assert "GiB" in moved[0]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_or_a_closed_terminal_in_the_middle_tidies_up(room: Path, sent: signal.Signals) -> None:
    demo = subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "✓ write content" in line:
            break
    time.sleep(0.5)
    demo.send_signal(sent)
    rest = demo.stdout.read()
    assert demo.wait(120) == 130
    demo.stdout.close()
    assert "interrupted" in rest


def test_it_serves_on_until_ctrl_c(room: Path, monkeypatch: pytest.MonkeyPatch, handlers: None) -> None:
    def stop_soon(life: Life, report: Report) -> None:
        assert life.folder.parent == room
        assert life.instance.ask("status")["status"]["version"]
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(program, "STEPS", STEPS[:2])
    monkeypatch.setattr(program, "_serve_on", stop_soon)
    assert program.main([]) == 0


def test_a_step_that_fails_is_told_with_its_timeline_and_tidied(
    room: Path, monkeypatch: pytest.MonkeyPatch, handlers: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def fit_nowhere(life: Life) -> Done:
        life.ask("type", "create", "nowhere", "--property", "volume_backend_name=nowhere")
        life.create("too-much", "1G", "--type", "nowhere")
        return Done()

    monkeypatch.setattr(program, "STEPS", [*STEPS[:3], ("fit nowhere", fit_nowhere)])
    assert program.main(["--exit"]) == 1
    told = capsys.readouterr().out
    assert "✗ fit nowhere" in told
    assert "reason: " in told
    assert "✗ place" in told


def test_keep_leaves_the_volumes_and_the_attachment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handlers: None
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(program, "STEPS", STEPS[:3])
    try:
        assert program.main(["--exit", "--keep"]) == 0
        (folder,) = tmp_path.iterdir()
        assert (folder / "data" / "admin.json").exists()
        assert len(traces.mounts((folder,), on="/dev/")) == 1
        (loop,) = traces.loops((folder,))
    finally:
        assert traces.remove(tmp_path) == []
    # Gone itself, and not only out of the folder's sight.
    assert not Path("/sys/block", Path(loop).name, "loop").exists()


@pytest.mark.requires("setpriv", "nbdcopy", "qemu-io")
def test_an_ordinary_user_does_the_same_over_nbd() -> None:
    """As root this becomes nobody; the folders of pytest are closed to others, so that nobody gets one of its own."""
    with tempfile.TemporaryDirectory(prefix="nobody-", dir="/tmp") as home:
        os.chown(home, NOBODY, NOBODY)
        environment = {"HOME": home, "TMPDIR": home, "PATH": os.defpath, "LANG": "C.UTF-8", **_PACKAGES}
        environment |= {
            key: value for key, value in os.environ.items() if key.startswith("BREEZEBLOCK_TEST_")
        }
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
        python = _interpreter(become, environment)
        demo = [*become, python, "-m", "breezeblock.demo", "--exit"]
        done = subprocess.run(demo, capture_output=True, text=True, timeout=300, env=environment, cwd="/")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "over NBD, without a device" in done.stdout
        assert "0 errors" in done.stdout
        assert [path.name for path in Path(home).iterdir() if path.name.startswith("breezeblock-demo")] == []
        assert list(traces.processes((Path(home),))) == []


NOBODY = 65534
_PROBE = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import breezeblock.demo, msgspec'], check=True)"
#: This very installation, for an interpreter that is not the environment's own.
_PACKAGES = {
    "PYTHONPATH": os.pathsep.join([str(Path(program.__file__).parents[2]), sysconfig.get_paths()["purelib"]]),
    "PYTHONDONTWRITEBYTECODE": "1",
}


def _interpreter(become: list[str], environment: dict[str, str]) -> str:
    """An interpreter of this version that the other user may run: an environment's may lie in a home that is closed."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        # The interpreter is asked to start itself once more: setpriv still has root's rights when it starts one.
        probe = [*become, candidate, "-c", _PROBE]
        try:
            if (
                subprocess.run(probe, capture_output=True, timeout=60, env=environment, cwd="/").returncode
                == 0
            ):
                return candidate
        except OSError:
            continue
    pytest.skip("needs an interpreter and a checkout that an ordinary user may read")
