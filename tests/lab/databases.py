# SPDX-License-Identifier: Apache-2.0
"""Real database servers for tests and for the hand: PostgreSQL and MariaDB, from Debian's binaries, each in a folder of
its own and reached over a unix socket there, so that no port is taken and no two labs meet. The machine's own servers,
their configuration and their data are never touched. Everything ends, and is deleted, with the context that began it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
import pymysql
from sqlalchemy.engine import make_url

READY_SECONDS = 60.0
STOP_SECONDS = 20.0


class LabError(RuntimeError):
    """A server could not be started; the text holds the end of its log."""


def postgresql_binaries() -> Path | None:
    """The folder of the newest PostgreSQL server's programs, or None when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).resolve().parent if elsewhere else None


def mariadb_binaries() -> tuple[str, str] | None:
    """mariadb-install-db and mariadbd, or None when one is missing."""
    search = os.environ.get("PATH", "") + ":/usr/sbin"
    install = shutil.which("mariadb-install-db", path=search)
    server = shutil.which("mariadbd", path=search)
    return (install, server) if install and server else None


@contextlib.contextmanager
def postgresql(tmp: Path | None = None, *, durable: bool = True) -> Iterator[str]:
    """A PostgreSQL server; yields the SQLAlchemy URL of its first, empty database. Not durable: commits skip fsync."""
    binaries = postgresql_binaries()
    if binaries is None:
        raise LabError("PostgreSQL's server programs are not installed (Debian: postgresql)")
    with _folder(tmp, "pg") as folder, _owner("postgres", folder) as user:
        data, log = folder / "data", folder / "log"
        _run(
            [str(binaries / "initdb"), "-D", str(data), "-U", "breezeblock", "-A", "trust", "-E", "UTF8"]
            + ["--locale=C.UTF-8", "--no-sync"],
            user,
            folder,
        )
        settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "max_connections": "200"}
        settings |= {"shared_buffers": "64MB", "fsync": "on" if durable else "off"}
        command = [str(binaries / "postgres"), "-D", str(data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        url = f"postgresql+psycopg://breezeblock@/postgres?host={quote(str(folder), safe='/')}"
        # SIGQUIT: stop at once, children and shared memory included, without the checkpoint that nobody will read.
        with _server(command, user, folder, log, lambda: _greet_postgresql(url), signal.SIGQUIT):
            yield url


@contextlib.contextmanager
def mariadb(tmp: Path | None = None, *, durable: bool = True) -> Iterator[str]:
    """A MariaDB server; yields the SQLAlchemy URL of its first, empty database. Not durable: commits skip fsync."""
    binaries = mariadb_binaries()
    if binaries is None:
        raise LabError("MariaDB's server programs are not installed (Debian: mariadb-server)")
    with _folder(tmp, "my") as folder, _owner("mysql", folder) as user:
        data, log, address = folder / "data", folder / "log", folder / "s"
        _run(
            [binaries[0], "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
            + ["--skip-test-db", "--skip-log-bin"],
            user,
            folder,
        )
        command = [
            binaries[1],
            "--no-defaults",
            f"--datadir={data}",
            f"--socket={address}",
            "--skip-networking",
        ]
        command += ["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"]
        command += [f"--pid-file={folder / 'pid'}", "--skip-log-bin", "--max-connections=200"]
        command += ["--innodb-flush-log-at-trx-commit=" + ("1" if durable else "2")]
        url = f"mariadb+pymysql://root@localhost/mysql?unix_socket={quote(str(address), safe='/')}&charset=utf8mb4"
        with _server(command, user, folder, log, lambda: _greet_mariadb(url), signal.SIGKILL):
            _administer(url, "CREATE DATABASE lab")
            yield url.replace("/mysql?", "/lab?")


@contextlib.contextmanager
def fresh_database(server_url: str, name: str) -> Iterator[str]:
    """A new, empty database on a running server; dropped at the end, with whatever connections are still open."""
    url = make_url(server_url)
    if url.get_backend_name() == "postgresql":
        _administer(server_url, f'CREATE DATABASE "{name}"')
    else:
        _administer(server_url, f"CREATE DATABASE `{name}`")
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        if url.get_backend_name() == "postgresql":
            _administer(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')
        else:
            _drop_mariadb(server_url, name)


def _administer(server_url: str, *statements: str) -> None:
    url = make_url(server_url)
    if url.get_backend_name() == "postgresql":
        with psycopg.connect(_libpq(server_url), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())
        return
    with contextlib.closing(_mariadb_connection(server_url)) as session, session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _drop_mariadb(server_url: str, name: str) -> None:
    # A transaction that a killed process left open holds metadata locks, and DROP would wait for them.
    with contextlib.closing(_mariadb_connection(server_url)) as session, session.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (name,))
        for (thread,) in cursor.fetchall():
            with contextlib.suppress(pymysql.err.OperationalError):
                cursor.execute(f"KILL {int(thread)}")
        cursor.execute("SET SESSION lock_wait_timeout = 20")
        cursor.execute(f"DROP DATABASE `{name}`")


def _libpq(server_url: str) -> str:
    return server_url.replace("postgresql+psycopg://", "postgresql://", 1)


def _mariadb_connection(server_url: str) -> pymysql.Connection[pymysql.cursors.Cursor]:
    url = make_url(server_url)
    return pymysql.connect(
        user=url.username,
        unix_socket=str(url.query["unix_socket"]),
        database=url.database,
        charset="utf8mb4",
        autocommit=True,
    )


def _greet_postgresql(url: str) -> bool:
    try:
        psycopg.connect(_libpq(url), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _greet_mariadb(url: str) -> bool:
    # The bare socket is asked first: PyMySQL leaves one open when nobody listens.
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(make_url(url).query["unix_socket"]))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    try:
        _mariadb_connection(url).close()
    except pymysql.err.OperationalError:
        return False
    return True


@contextlib.contextmanager
def _folder(parent: Path | None, prefix: str) -> Iterator[Path]:
    """A short path (a socket's is at most 107 bytes) that the server's user can reach."""
    path = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def _owner(preferred: str, folder: Path) -> Iterator[str | None]:
    """The user to run as: both servers refuse root. None: as we are."""
    if os.geteuid() != 0:
        yield None
        return
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = preferred if preferred in known else "nobody"
    record = pwd.getpwnam(user)
    os.chown(folder, record.pw_uid, record.pw_gid)
    folder.chmod(0o755)
    yield user


def _environment(folder: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "PATH" or name.startswith("BREEZEBLOCK_TEST")
    }
    return kept | {"LC_ALL": "C", "HOME": str(folder), "TMPDIR": str(folder)}


def _group(user: str | None) -> int | None:
    return pwd.getpwnam(user).pw_gid if user else None


def _run(command: Sequence[str], user: str | None, folder: Path) -> None:
    done = subprocess.run(
        command,
        user=user,
        group=_group(user),
        extra_groups=[] if user else None,
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        timeout=READY_SECONDS * 2,
    )
    if done.returncode != 0:
        raise LabError(f"{command[0]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")


@contextlib.contextmanager
def _server(
    command: Sequence[str],
    user: str | None,
    folder: Path,
    log: Path,
    greet: Callable[[], bool],
    farewell: signal.Signals,
) -> Iterator[None]:
    with log.open("wb") as output:
        process = _start(command, user, folder, output)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not greet():
            if process.poll() is not None or time.monotonic() > deadline:
                state = "is not ready" if process.returncode is None else f"ended with {process.returncode}"
                raise LabError(f"{command[0]} {state}:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(farewell)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)


def _start(
    command: Sequence[str], user: str | None, folder: Path, output: IO[bytes]
) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C in the terminal is for the tests, which then end the server in order.
    return subprocess.Popen(
        command,
        user=user,
        group=_group(user),
        extra_groups=[] if user else None,
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def main(arguments: Sequence[str]) -> int:
    """`./dev lab postgresql|mariadb`: a server by hand, until Ctrl-C."""
    labs = {"postgresql": postgresql, "mariadb": mariadb}
    if len(arguments) != 1 or arguments[0] not in labs:
        print("usage: ./dev lab postgresql|mariadb", file=sys.stderr)
        return 2
    # Ignoring would let SIGTERM leave the server behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with labs[arguments[0]]() as url:
            print(url, flush=True)
            print(f"tests use it with BREEZEBLOCK_TEST_{arguments[0].upper()}={url}", file=sys.stderr)
            print("Ctrl-C ends the server and deletes its data", file=sys.stderr)
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
