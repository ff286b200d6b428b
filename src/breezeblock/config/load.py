# SPDX-License-Identifier: Apache-2.0
"""Reads the configuration from where it may stand. What wins, first to last: options of the command line, the environment, the file, the
default. Must never leave a key unread: one that nobody knows is an error with the name that was probably meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from breezeblock.config.errors import BadConfiguration, unknown
from breezeblock.config.sections import UNSET, Backend, Config
from breezeblock.config.settle import refuse_unsafe, settle, user_folder
from breezeblock.model.secret import Secret

_SECTIONS: dict[str, type[msgspec.Struct]] = {
    field.name: field.type for field in msgspec.structs.fields(Config) if field.name != "backends"
}
_PREFIX = "BREEZEBLOCK_"
Hook = Callable[[type, Any], Any]


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str] | None = None) -> Config:
    """The settled configuration, or BadConfiguration. `path` None: BREEZEBLOCK_CONFIG names the file, or there is none. `overrides` are
    options of the command line, as {"server.port": "0"}."""
    if path is None and environ.get("BREEZEBLOCK_CONFIG"):
        path = Path(environ["BREEZEBLOCK_CONFIG"])
    home = user_folder(environ)
    config = Config()
    if path is not None:
        config = _from_file(path, home)
    hook = _hook(Path.cwd(), home)
    for section, key, text, origin in (*_named_in_environment(environ), *_named_by_options(overrides or {})):
        config = _with(config, section, key, text, origin, hook)
    config = settle(config, environ, home)
    refuse_unsafe(config)
    return config


def data_folder(environ: Mapping[str, str]) -> Path:
    """Where the data is by the environment and the configuration file that it names."""
    return load(None, environ).data.folder


def _from_file(path: Path, home: Path | None) -> Config:
    import tomllib  # only who has a file pays for the parser

    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConfiguration(
            f"the configuration file {path} cannot be read: {error.strerror}",
            needed="a readable file",
            had=type(error).__name__,
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path} is not TOML: {error}") from error
    _refuse_unknown(raw, path)
    try:
        return msgspec.convert(raw, Config, dec_hook=_hook(path.absolute().parent, home))
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at ")
        raise BadConfiguration(f"{path}: {_spoken(where)}: {message[:1].lower()}{message[1:]}") from error


def _refuse_unknown(raw: Mapping[str, Any], path: Path) -> None:
    """msgspec could refuse these too, but could not say what was meant."""
    for section, body in raw.items():
        if section not in _SECTIONS and section != "backends":
            raise unknown(f"section in {path} named", section, [*_SECTIONS, "backends"])
        struct: type[msgspec.Struct] = _SECTIONS.get(section, Backend)
        for table in body if isinstance(body, list) else [body]:
            if not isinstance(table, dict):
                break  # its type is wrong as a whole, which the conversion says better
            for key in table:
                if key not in struct.__struct_fields__:
                    heading = f"[[{section}]]" if section == "backends" else f"[{section}]"
                    raise unknown(f"setting in {heading} of {path} named", key, struct.__struct_fields__)


def _spoken(where: str) -> str:
    """`$.server.port` -> [server] port; `$.backends[1].name` -> [[backends]] number 2, name."""
    section, _, key = where.strip("`").removeprefix("$").removeprefix(".").partition(".")
    if section.startswith("backends"):
        number = section.removeprefix("backends").strip("[]")
        return f"[[backends]] number {int(number) + 1 if number.isdigit() else '?'}{', ' * bool(key)}{key}"
    return f"[{section}] {key}".strip()


def _named_in_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """(section, key, text, where it stands). A variable that begins like a section of ours must be a setting; others are not ours."""
    if environ.get("BREEZEBLOCK_DATA"):
        yield "data", "folder", environ["BREEZEBLOCK_DATA"], "BREEZEBLOCK_DATA"
    for variable, text in sorted(environ.items()):
        for section, struct in _SECTIONS.items():
            prefix = f"{_PREFIX}{section.upper()}_"
            if variable.startswith(prefix):
                key = variable.removeprefix(prefix).lower()
                if key not in struct.__struct_fields__:
                    names = [f"{prefix}{field.upper()}" for field in struct.__struct_fields__]
                    raise unknown("setting for the variable", variable, names)
                yield section, key, text, variable


def _named_by_options(overrides: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    for dotted, text in overrides.items():
        section, _, key = dotted.partition(".")
        if section not in _SECTIONS or key not in _SECTIONS[section].__struct_fields__:
            every = [
                f"{name}.{field}" for name, struct in _SECTIONS.items() for field in struct.__struct_fields__
            ]
            raise unknown("setting named", dotted, every)
        yield section, key, text, f"the option for {dotted}"


def _with(config: Config, section: str, key: str, text: str, origin: str, hook: Hook) -> Config:
    """The configuration with one setting read from a text. Lists are separated by commas; tables cannot be given so."""
    old = getattr(config, section)
    wanted = next(field.type for field in msgspec.structs.fields(old) if field.name == key)
    value: Any = text
    if isinstance(getattr(old, key), tuple):
        value = [part.strip() for part in text.split(",") if part.strip()]
    try:
        new = msgspec.convert(value, wanted, strict=False, dec_hook=hook)
    except msgspec.ValidationError as error:
        # The text itself is not repeated: it may be a password.
        raise BadConfiguration(
            f"{origin} cannot be used: {str(error)[:1].lower()}{str(error)[1:]}"
        ) from error
    return replace(config, **{section: replace(old, **{key: new})})


def _hook(base: Path, home: Path | None) -> Hook:
    """Reads our own types. A relative path counts from `base`: the file's folder, or the working folder."""

    def read(wanted: type, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
        if wanted is Secret:
            return Secret(value)
        if not value:
            return UNSET
        if value == "~" or value.startswith("~/"):
            if home is None:
                raise ValueError("'~' cannot be used, this user has no home")
            return home / value[2:]
        return base / value

    return read
