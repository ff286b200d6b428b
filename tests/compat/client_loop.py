# SPDX-License-Identifier: Apache-2.0
"""Runs in the clients' own environment: takes one call a line (JSON), makes it with the real client's own code, answers one line. It saves
the seconds that importing a client takes each time, and changes nothing else. Knows nothing of Breezeblock."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any


def openstack(argv: list[str]) -> Any:
    from openstackclient import shell  # type: ignore[import-not-found]

    return shell.main(argv)


def cinder(argv: list[str]) -> Any:
    from cinderclient import shell  # type: ignore[import-not-found]

    return shell.OpenStackCinderShell().main(argv)


def sdk(argv: list[Any]) -> Any:
    """[method of the block storage proxy, keyword arguments]: its answer as plain data."""
    import openstack as package  # type: ignore[import-not-found]

    auth = {"endpoint": os.environ["OS_ENDPOINT"], "token": os.environ["OS_TOKEN"]}
    with package.connection.Connection(auth_type="admin_token", auth=auth) as connection:
        method, positional, keywords = argv
        answer = getattr(connection.block_storage, method)(*positional, **keywords)
        print(json.dumps(plain(answer), default=str))


def plain(answer: Any) -> Any:
    if hasattr(answer, "to_dict"):
        return answer.to_dict(computed=False)
    if isinstance(answer, Iterator | list):
        return [plain(item) for item in answer]
    return answer


def call(function: Callable[[list[Any]], Any], argv: list[Any]) -> dict[str, Any]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = function(argv) or 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except Exception as why:
            print(f"{type(why).__name__}: {why}", file=sys.stderr)
            traceback.print_exc()
            status = 1
    return {"status": int(status), "out": out.getvalue(), "err": err.getvalue()}


def main() -> None:
    answers = sys.stdout
    for line in sys.stdin:
        asked = json.loads(line)
        answer = call({"openstack": openstack, "cinder": cinder, "sdk": sdk}[asked["client"]], asked["argv"])
        print(json.dumps(answer), file=answers, flush=True)


main()
