# SPDX-License-Identifier: Apache-2.0
"""The page that lists every setting, made from the sections so that it cannot be wrong: `python -m breezeblock.config >
docs/CONFIGURATION.md`; a test compares the two. Must never show a value of this machine: only defaults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from breezeblock.config.sections import UNSET, Config
from breezeblock.model.secret import Secret

_HEAD = """\
# Configuration

<!-- Printed by `python -m breezeblock.config`. Change the sections in src/breezeblock/config/sections.py, then print it again. -->

Nothing has to be configured: without a file the service keeps SQLite and one folder of volumes in its data folder and listens on
127.0.0.1:8776. A file is TOML, named with `breezeblock serve --config FILE` or `BREEZEBLOCK_CONFIG`. It is read strictly: a key that
does not exist or a value of the wrong type stops the start and says what was probably meant.

* Every setting outside `[[backends]]` has a variable: `BREEZEBLOCK_` + section + `_` + key, in capitals (`BREEZEBLOCK_SERVER_PORT`).
  Lists are separated by commas; tables cannot be given so. A variable wins over the file, an option of the command line over both.
* Relative folders count from the file's folder; in variables and options, from the working folder. `~` is the home of the user that
  the service runs as.
* Start-up refuses what would be unsafe: an address beyond loopback without authentication and TLS in front, NBD for other hosts
  without TLS, backends that share a folder, claims that end before they can be renewed.

```toml
[server]
port = 8776

[[backends]]
name = "local"

[[backends]]
name = "fast"
folder = "/srv/fast"
availability_zone = "cellar"
capabilities = { disk = "ssd" }     # a volume type asks for it with the extra spec disk = "ssd"
```
"""


def page() -> str:
    return "\n".join([_HEAD, *_sections()]).rstrip() + "\n"


def _sections() -> Iterator[str]:
    for field in msgspec.structs.fields(Config):
        many = field.name == "backends"
        struct: Any = field.type.__args__[0] if many else field.type
        yield f"## {'[[' if many else '['}{field.name}{']]' if many else ']'}\n"
        yield f"{' '.join((struct.__doc__ or '').split())}\n"
        yield "| Key | Type | Default | What it is |\n|---|---|---|---|"
        info = inspect.type_info(struct)
        assert isinstance(info, inspect.StructType)
        for setting in info.fields:
            yield f"| `{setting.name}` | {_type(setting.type)} | {_default(setting)} | {_description(setting.type)} |"
        yield ""


def _description(kind: inspect.Type) -> str:
    assert isinstance(kind, inspect.Metadata), "every setting has a description"
    return str((kind.extra_json_schema or {})["description"])


def _type(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.Metadata):
        return _type(kind.type)
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        word = "number" if isinstance(kind, inspect.FloatType) else "whole number"
        limits = [f"at least {kind.ge:g}"] if kind.ge is not None else []
        limits += [f"at most {kind.le:g}"] if kind.le is not None else []
        return ", ".join([word, *limits])
    if isinstance(kind, inspect.LiteralType):
        return " or ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, inspect.VarTupleType):
        return f"list of {_type(kind.item_type)}"
    if isinstance(kind, inspect.UnionType):
        return _type(next(one for one in kind.types if not isinstance(one, inspect.NoneType)))
    if isinstance(kind, inspect.CustomType):
        return "folder" if kind.cls is Path else "text, secret"
    names = {inspect.StrType: "text", inspect.BoolType: "true or false", inspect.DictType: "table"}
    return names[type(kind)]


def _default(setting: inspect.Field) -> str:
    if setting.required:
        return "(needed)"
    value = setting.default if setting.default is not msgspec.NODEFAULT else setting.default_factory()
    if value is None or value == UNSET or isinstance(value, Secret):
        return ""
    return f"`{msgspec.json.encode(value).decode()}`" if value not in ("", {}) else ""
