# SPDX-License-Identifier: Apache-2.0
"""The configuration: one TOML file, or none at all. Strict: what it does not understand, or what would be unsafe, is an error before
anything starts. Imports nothing heavy, since every command reads it, and must never open a database, a socket or a storage folder."""

from breezeblock.config.errors import BadConfiguration
from breezeblock.config.load import data_folder, load
from breezeblock.config.sections import (
    Auth,
    Backend,
    Bus,
    Config,
    Data,
    Database,
    Engine,
    Nbd,
    Quota,
    Role,
    Roles,
    Scheduler,
    Server,
)

__all__ = [
    "Auth",
    "Backend",
    "BadConfiguration",
    "Bus",
    "Config",
    "Data",
    "Database",
    "Engine",
    "Nbd",
    "Quota",
    "Role",
    "Roles",
    "Scheduler",
    "Server",
    "data_folder",
    "load",
]
