# SPDX-License-Identifier: Apache-2.0
"""The configuration: defaults that work, strictness that helps, and what start-up refuses."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from breezeblock.config import BadConfiguration, Config, data_folder, load
from breezeblock.config.page import page
from breezeblock.config.settle import is_loopback
from breezeblock.scheduler.names import check
from breezeblock.scheduler.policy import Policy
from breezeblock.store import quotas

HOME = {"HOME": "/home/ada"}
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "CONFIGURATION.md"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "breezeblock.toml"
    path.write_text(text)
    return path


def refused(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> BadConfiguration:
    with pytest.raises(BadConfiguration) as caught:
        load(written(tmp_path, text), environ or HOME)
    assert caught.value.remedy
    return caught.value


class TestDefaults:
    def test_nothing_has_to_be_configured(self) -> None:
        config = load(None, HOME)
        assert (config.server.host, config.server.port, config.auth.mode) == ("127.0.0.1", 8776, "local")
        assert config.server.max_body_bytes == 114688
        assert config.data.folder == Path("/home/ada/.local/share/breezeblock")
        assert (
            config.database.url.reveal() == "sqlite:////home/ada/.local/share/breezeblock/breezeblock.sqlite"
        )
        [backend] = config.backends
        assert (backend.name, backend.driver, backend.target) == ("local", "file", "auto")
        assert backend.folder == config.data.folder / "volumes"
        assert backend.max_over_subscription_ratio == 1.0
        assert backend.keep_free_bytes is None
        assert set(config.roles.start) == {"api", "scheduler", "volume", "agent"}

    def test_the_quota_is_the_contracts(self) -> None:
        quota = msgspec.to_builtins(load(None, HOME).quota)
        assert quota.pop("local_project_unlimited") is True
        assert quota == dict(quotas.DEFAULTS)

    def test_the_scheduler_knows_every_name(self) -> None:
        scheduler = load(None, HOME).scheduler
        policy = Policy(
            filters=scheduler.filters,
            weighers=scheduler.weighers,
            multipliers=scheduler.multipliers,
            weight_handler=scheduler.weight_handler,
            max_attempts=scheduler.max_attempts,
        )
        assert check(policy) == policy == Policy()

    def test_an_empty_file_is_no_file(self, tmp_path: Path) -> None:
        assert load(written(tmp_path, ""), HOME) == load(None, HOME)


class TestDataFolder:
    @pytest.mark.parametrize(
        ("environ", "folder"),
        [
            ({"HOME": "/h", "XDG_DATA_HOME": "/x", "BREEZEBLOCK_DATA": "/d"}, "/d"),
            ({"HOME": "/h", "XDG_DATA_HOME": "/x", "BREEZEBLOCK_DATA_FOLDER": "/d"}, "/d"),
            ({"HOME": "/h", "XDG_DATA_HOME": "/x"}, "/x/breezeblock"),
            ({"HOME": "/h", "XDG_DATA_HOME": ""}, "/h/.local/share/breezeblock"),
            ({"HOME": "/h", "XDG_DATA_HOME": "relative"}, "/h/.local/share/breezeblock"),
            ({"HOME": "/h", "BREEZEBLOCK_DATA": "~/blocks"}, "/h/blocks"),
            ({}, f"{pwd.getpwuid(os.geteuid()).pw_dir}/.local/share/breezeblock"),
        ],
    )
    def test_the_environment_says_where(self, environ: dict[str, str], folder: str) -> None:
        assert data_folder(environ) == Path(folder)
        assert load(None, environ).backends[0].folder == Path(folder) / "volumes"

    def test_a_relative_one_counts_from_the_working_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert data_folder({"BREEZEBLOCK_DATA": "here"}) == tmp_path / "here"

    def test_in_the_file_it_counts_from_the_file(self, tmp_path: Path) -> None:
        assert load(written(tmp_path, '[data]\nfolder = "here"'), HOME).data.folder == tmp_path / "here"

    def test_the_environment_wins_over_the_file(self, tmp_path: Path) -> None:
        config = load(written(tmp_path, '[data]\nfolder = "/file"'), {"BREEZEBLOCK_DATA": "/environment"})
        assert config.data.folder == Path("/environment")

    def test_a_user_without_a_home_is_told_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 987_654)
        with pytest.raises(BadConfiguration, match="no home") as caught:
            load(None, {})
        assert "BREEZEBLOCK_DATA" in caught.value.remedy
        assert load(None, {"BREEZEBLOCK_DATA": "/d"}).data.folder == Path("/d")


class TestSources:
    def test_options_win_over_the_environment_and_that_over_the_file(self, tmp_path: Path) -> None:
        path = written(tmp_path, "[server]\nport = 1\nconnect_seconds = 7\n[engine]\nworkers_bulk = 3")
        environ = HOME | {"BREEZEBLOCK_SERVER_PORT": "2", "BREEZEBLOCK_ENGINE_WORKERS_BULK": "9"}
        assert load(path, HOME).server.port == 1
        assert load(path, environ).server.port == 2
        config = load(path, environ, {"server.port": "0", "data.folder": "/d"})
        assert (config.server.port, config.server.connect_seconds) == (0, 7)
        assert config.engine.workers_bulk == 9
        assert config.data.folder == Path("/d")

    def test_the_environment_can_name_the_file(self, tmp_path: Path) -> None:
        path = written(tmp_path, "[server]\nport = 5")
        assert load(None, HOME | {"BREEZEBLOCK_CONFIG": str(path)}).server.port == 5

    @pytest.mark.parametrize(
        ("variable", "text", "section", "key", "value"),
        [
            ("BREEZEBLOCK_AUTH_MODE", "none", "auth", "mode", "none"),
            ("BREEZEBLOCK_ROLES_START", "api, scheduler", "roles", "start", ("api", "scheduler")),
            ("BREEZEBLOCK_SERVER_BEHIND_TLS", "true", "server", "behind_tls", True),
            ("BREEZEBLOCK_QUOTA_VOLUMES", "-1", "quota", "volumes", -1),
            ("BREEZEBLOCK_NBD_TLS_FOLDER", "/etc/tls", "nbd", "tls_folder", Path("/etc/tls")),
        ],
    )
    def test_every_kind_of_setting_can_be_a_variable(
        self, variable: str, text: str, section: str, key: str, value: Any
    ) -> None:
        assert getattr(getattr(load(None, HOME | {variable: text}), section), key) == value

    def test_a_password_in_the_url_is_never_shown(self) -> None:
        config = load(None, HOME | {"BREEZEBLOCK_DATABASE_URL": "postgresql+psycopg://u:hush@h/d"})
        assert config.database.url.reveal().endswith("hush@h/d")
        assert "hush" not in repr(config)

    def test_variables_of_others_are_left_alone(self) -> None:
        others = {"BREEZEBLOCK_TOKEN": "t", "BREEZEBLOCK_ENDPOINT": "e", "BREEZEBLOCK_TEST_RUN": "x"}
        assert load(None, HOME | others) == load(None, HOME)


class TestBackends:
    def test_each_has_a_folder_of_its_own_that_does_not_depend_on_the_others(self, tmp_path: Path) -> None:
        text = '[[backends]]\nname = "local"\n[[backends]]\nname = "fast"\nkeep_free_mib = 2\n[[backends]]\nname = "third"\nfolder = "~/3"'
        local, fast, third = load(written(tmp_path, text), HOME | {"BREEZEBLOCK_DATA": "/d"}).backends
        assert [str(one.folder) for one in (local, fast, third)] == [
            "/d/volumes",
            "/d/volumes-fast",
            "/home/ada/3",
        ]
        assert fast.keep_free_bytes == 2 << 20

    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ('[[backends]]\nname = "a"\n[[backends]]\nname = "a"', "two [[backends]] are named 'a'"),
            (
                '[[backends]]\nname = "a"\nfolder = "/s"\n[[backends]]\nname = "b"\nfolder = "/s/x/.."',
                "mix their volumes",
            ),
            (
                '[[backends]]\nname = "a"\nfolder = "/s/in"\n[[backends]]\nname = "b"\nfolder = "/s"',
                "mix their volumes",
            ),
            ('[[backends]]\nname = "a@b"', "[[backends]] number 1, name"),
            ('[[backends]]\nname = "a"\n[[backends]]\ndriver = "file"', "[[backends]] number 2"),
            ('[[backends]]\nname = "a"\nreserved_percentage = 101', "reserved_percentage"),
            ('[[backends]]\nname = "a"\nmax_over_subscription_ratio = 0.5', "max_over_subscription_ratio"),
            ('[[backends]]\nname = "a"\ndriver = "tape"', "driver"),
        ],
    )
    def test_what_cannot_be_is_refused(self, tmp_path: Path, text: str, word: str) -> None:
        assert word in str(refused(tmp_path, text))


class TestStrictness:
    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ("[server]\nprot = 1", "did you mean 'port'?"),
            ("[sever]\nport = 1", "did you mean 'server'?"),
            ("port = 1", "there is no section"),
            ('[[backends]]\nname = "a"\nfoldr = "x"', "did you mean 'folder'?"),
        ],
    )
    def test_an_unknown_key_is_an_error_with_a_suggestion(
        self, tmp_path: Path, text: str, meant: str
    ) -> None:
        assert meant in str(refused(tmp_path, text))

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('[server]\nport = "8776"', ["[server] port", "expected `int`, got `str`"]),
            ("[server]\nport = 70000", ["[server] port", "<= 65535"]),
            ("[server]\nhost = 1", ["[server] host", "expected `str`"]),
            ("server = 3", ["[server]", "expected `object`"]),
            ("[backends]\nname = 3", ["[backends]", "expected `array`"]),
            ("[data]\nfolder = 3", ["[data] folder", "expected `str`"]),
            ("[database]\nurl = 3", ["[database] url", "expected `str`"]),
            ("[auth]\nmode = 'keystone'", ["[auth] mode", "keystone"]),
            ("[scheduler]\nfilters = [1]", ["[scheduler] filters", "expected `str`"]),
            ("[scheduler]\nmultipliers = { capacity = nan }", ["multiplier of capacity"]),
            ("[quota]\nvolumes = -2", ["[quota] volumes", ">= -1"]),
            ("[roles]\nstart = []", ["nothing to do"]),
            ("[server\n", ["is not TOML"]),
        ],
    )
    def test_a_wrong_value_is_named_with_its_place(self, tmp_path: Path, text: str, words: list[str]) -> None:
        said = str(refused(tmp_path, text))
        assert [word for word in words if word not in said] == [], said

    def test_a_file_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(BadConfiguration, match="cannot be read: No such file"):
            load(tmp_path / "absent.toml", HOME)

    @pytest.mark.parametrize(
        ("environ", "words"),
        [
            ({"BREEZEBLOCK_SERVER_PROT": "1"}, "did you mean 'BREEZEBLOCK_SERVER_PORT'?"),
            ({"BREEZEBLOCK_SERVER_PORT": "many"}, "BREEZEBLOCK_SERVER_PORT cannot be used: expected `int`"),
            ({"BREEZEBLOCK_SCHEDULER_MULTIPLIERS": "x"}, "BREEZEBLOCK_SCHEDULER_MULTIPLIERS cannot be used"),
            ({"BREEZEBLOCK_ROLES_START": "api,kitchen"}, "kitchen"),
        ],
    )
    def test_variables_are_as_strict(self, environ: dict[str, str], words: str) -> None:
        with pytest.raises(BadConfiguration) as caught:
            load(None, HOME | environ)
        assert words in str(caught.value)

    def test_an_option_that_names_no_setting_is_refused(self) -> None:
        with pytest.raises(BadConfiguration, match="no setting named"):
            load(None, HOME, {"server.prot": "1"})


class TestSafety:
    @pytest.mark.parametrize(
        ("host", "loopback"),
        [
            ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True),
            ("0.0.0.0", False), ("::", False), ("", False), ("10.0.0.1", False), ("example.org", False),
            ("localhost.example.org", False),
        ],
    )  # fmt: skip
    def test_loopback(self, host: str, loopback: bool) -> None:
        assert is_loopback(host) is loopback

    def test_beyond_loopback_without_authentication_is_refused_even_behind_tls(self, tmp_path: Path) -> None:
        error = refused(tmp_path, '[server]\nhost = "0.0.0.0"\nbehind_tls = true\n[auth]\nmode = "none"')
        assert "would let all of them in" in str(error)

    def test_beyond_loopback_a_token_wants_tls_in_front(self, tmp_path: Path) -> None:
        error = refused(tmp_path, '[server]\nhost = "0.0.0.0"')
        assert "in the clear" in str(error)
        assert "behind_tls" in error.remedy
        assert load(
            written(tmp_path, '[server]\nhost = "0.0.0.0"\nbehind_tls = true'), HOME
        ).server.behind_tls

    def test_on_loopback_nobody_needs_a_token(self, tmp_path: Path) -> None:
        assert load(written(tmp_path, '[auth]\nmode = "none"'), HOME).auth.mode == "none"

    def test_the_environment_cannot_open_it_either(self) -> None:
        with pytest.raises(BadConfiguration, match="can be reached by others"):
            load(None, HOME | {"BREEZEBLOCK_SERVER_HOST": "::"})

    def test_volumes_for_other_hosts_want_tls_or_a_word(self, tmp_path: Path) -> None:
        listening = '[nbd]\ntcp_listen = "10.0.0.1"\n'
        assert "without TLS" in str(refused(tmp_path, listening))
        assert (
            load(written(tmp_path, listening + 'tls_folder = "tls"'), HOME).nbd.tls_folder == tmp_path / "tls"
        )
        assert load(written(tmp_path, listening + "in_the_clear = true"), HOME).nbd.in_the_clear
        # The other users of this machine are strangers as well.
        assert "everybody who reaches the port" in str(refused(tmp_path, '[nbd]\ntcp_listen = "127.0.0.1"'))

    def test_leases_outlive_a_late_renewal(self, tmp_path: Path) -> None:
        error = refused(tmp_path, "[engine]\nlease_seconds = 9\nrenew_seconds = 5")
        assert "at most 4" in str(error)

    def test_nbd_has_ports(self, tmp_path: Path) -> None:
        assert "no ports" in str(refused(tmp_path, "[nbd]\nport_first = 20\nport_last = 10"))


def test_importing_the_configuration_is_light() -> None:
    program = "import sys, breezeblock.config; print(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "breezeblock" in loaded
    assert loaded & {"sqlalchemy", "starlette", "uvicorn", "rich", "httpx", "alembic", "asyncio"} == set()


def test_the_page_is_what_the_sections_say() -> None:
    assert DOCUMENT.read_text() == page(), "run: python -m breezeblock.config > docs/CONFIGURATION.md"


def test_every_setting_is_described() -> None:
    for section in msgspec.structs.fields(Config):
        assert f"[{section.name}]" in page()
