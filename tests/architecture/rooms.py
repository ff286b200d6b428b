# SPDX-License-Identifier: Apache-2.0
"""An import-linter contract for rooms: a table that says, for each room, which others it may import. What is not in the
table is refused, so a new room begins by saying what it may know. A room is a package or a module; the longest name wins,
so that a Protocol module may be a room of its own inside a room of implementations."""

from __future__ import annotations

from typing import NamedTuple, cast

import grimp
from importlinter import Contract, ContractCheck, fields, output

ANYTHING = "*"


class Refusal(NamedTuple):
    importer: str
    imported: str
    lines: tuple[int, ...]
    because: str


def read_table(lines: list[str]) -> dict[str, frozenset[str]]:
    """`operations -> store flow` is {"operations": {"store", "flow"}}."""
    table = {}
    for line in lines:
        room, arrow, allowed = line.partition("->")
        if not arrow:
            raise ValueError(f"no -> in the rooms table: {line!r}")
        table[room.strip()] = frozenset(allowed.split())
    return table


def room_of(module: str, rooms: dict[str, frozenset[str]]) -> str | None:
    """The longest room that holds the module, both without the root package's name."""
    held = [room for room in rooms if module == room or module.startswith(f"{room}.")]
    return max(held, key=len, default=None)


class RoomsContract(Contract):
    """`rooms`: who may import whom inside the package. `outside`: which rooms alone may import a package from outside."""

    type_name = "rooms"

    rooms = fields.ListField(subfield=fields.StringField())
    outside = fields.ListField(subfield=fields.StringField(), required=False)

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        refusals = self._inside(graph) + self._outside(graph)
        return ContractCheck(kept=not refusals, metadata={"refusals": refusals})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for refusal in check.metadata["refusals"]:
            where = ", ".join(f"line {line}" for line in refusal.lines)
            output.print_error(f"- {refusal.importer} -> {refusal.imported} ({where})", bold=True)
            output.print_error(f"  {refusal.because}", bold=False)
        output.new_line()

    def _roots(self) -> list[str]:
        return list(self.session_options["root_packages"])

    def _inside(self, graph: grimp.ImportGraph) -> list[Refusal]:
        rooms = read_table(cast("list[str]", self.rooms))
        refusals = []
        for root in self._roots():
            for module in sorted(graph.find_descendants(root)):
                name = module.removeprefix(f"{root}.")
                room = room_of(name, rooms)
                if room is None:
                    text = (
                        f"{name} is in no room of the table in pyproject.toml: say there what it may import"
                    )
                    refusals.append(Refusal(module, root, (), text))
                    continue
                for imported in sorted(graph.find_modules_directly_imported_by(module)):
                    if not imported.startswith(f"{root}."):
                        continue
                    other = room_of(imported.removeprefix(f"{root}."), rooms)
                    if other in (None, room) or other in rooms[room] or ANYTHING in rooms[room]:
                        continue
                    allowed = ", ".join(sorted(rooms[room])) or "no other room"
                    refusals.append(
                        Refusal(
                            module, imported, _lines(graph, module, imported), f"{room} may import: {allowed}"
                        )
                    )
        return refusals

    def _outside(self, graph: grimp.ImportGraph) -> list[Refusal]:
        refusals = []
        roots = self._roots()
        for package, allowed in read_table(cast("list[str] | None", self.outside) or []).items():
            if package not in graph.modules:
                continue
            for module in sorted(graph.find_modules_that_directly_import(package)):
                name = module.removeprefix(f"{roots[0]}.")
                if not any(name == room or name.startswith(f"{room}.") for room in allowed):
                    text = f"only these may import {package}: {', '.join(sorted(allowed))}"
                    refusals.append(Refusal(module, package, _lines(graph, module, package), text))
        return refusals


def _lines(graph: grimp.ImportGraph, importer: str, imported: str) -> tuple[int, ...]:
    details = graph.get_import_details(importer=importer, imported=imported)
    return tuple(detail["line_number"] for detail in details)
