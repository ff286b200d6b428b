# SPDX-License-Identifier: Apache-2.0
"""What a stranger installs: the wheel of this checkout, in an environment that holds nothing else, is whole and serves."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCE = CHECKOUT / "src"

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(place),
        str(CHECKOUT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = place.glob("breezeblock-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory, environment_outside: Mapping[str, str]
) -> Path:
    """The bin folder of an environment with the wheel and its own requirements: no extras, nothing of the tests."""
    place = tmp_path_factory.mktemp("env")
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, timeout=120)
    pinned = ["-c", str(CHECKOUT / "constraints.txt"), str(wheel)]
    uv = Path(sys.executable).parent / "uv"
    command = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", *pinned]
    if uv.exists():
        command = [str(uv), "pip", "install", "-q", "--python", str(place / "bin" / "python"), *pinned]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=dict(environment_outside))
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "bin"


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    written = {
        path.relative_to(SOURCE).as_posix() for path in (SOURCE / "breezeblock").rglob("*") if path.is_file()
    }
    assert held == {name for name in written if "__pycache__" not in name}


def test_every_module_but_those_of_extras_is_importable_from_the_wheel_alone(
    installed: Path, tmp_path: Path
) -> None:
    program = """
import importlib, pkgutil, sys, breezeblock
missing = []
for module in pkgutil.walk_packages(breezeblock.__path__, "breezeblock."):
    if module.name.endswith("__main__") or ".migrations." in module.name:
        continue  # these run at import, for a program that calls them
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if error.name not in ("psycopg", "pymysql"):
            missing.append(f"{module.name}: {error.name}")
print(missing)
"""
    done = subprocess.run(
        [str(installed / "python"), "-I", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_discovery(process: subprocess.Popen[bytes], port: int, log: Path, seconds: float = 30.0) -> dict:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as answer:  # 300 Multiple Choices is the contract's answer
            with answer:
                return json.load(answer)
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"no service (exit code {process.poll()}):\n{log.read_text()[-3000:]}")


def test_the_installed_command_serves_until_it_is_told_to_stop(
    installed: Path, tmp_path: Path, requires: Callable[..., None]
) -> None:
    if importlib.util.find_spec("breezeblock.process") is None:
        pytest.skip("the service is not written yet")
    requires("qemu-img", "qemu-storage-daemon")
    port, data, log = _free_port(), tmp_path / "data", tmp_path / "log"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "BREEZEBLOCK_DATA": str(data),
        "LC_ALL": "C.UTF-8",
    }
    command = [str(installed / "breezeblock"), "serve", "--listen", f"127.0.0.1:{port}", "--data", str(data)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=output, stderr=output)
    try:
        versions = _await_discovery(process, port, log)["versions"]
        assert versions[0]["id"] == "v3.0"
        listed = subprocess.run(
            [str(installed / "breezeblock"), "volume", "list", "--json"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert listed.returncode == 0, listed.stderr
        assert json.loads(listed.stdout) == {"volumes": []}
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()[-3000:]
    finally:
        process.kill()
        process.wait(10)
