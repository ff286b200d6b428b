# SPDX-License-Identifier: Apache-2.0
"""Volume transfers, on the two paths that there are: /volume-transfers, and the older /os-volume-transfer whose offers take all snapshots
along."""

from __future__ import annotations

from typing import Annotated

import msgspec

from breezeblock.api import paging
from breezeblock.api.body import Body, since
from breezeblock.api.call import Call
from breezeblock.api.fields import Name, SomeId, not_blank, uuid_text
from breezeblock.api.filters import TRANSFER
from breezeblock.api.route import WRITE, route
from breezeblock.api.truth import Truth, truth
from breezeblock.api.views import transfer as view
from breezeblock.model.paging import PageQuery
from breezeblock.operations.volume import transfer
from breezeblock.store import transfers
from breezeblock.store.transaction import Tx

#: Order and pages work from here on.
PAGED = 59
NEW, OLD = "/volume-transfers", "/os-volume-transfer"
ONE = "/{transfer_id}"
LIST = paging.parameters(TRANSFER)


class OldOffer(msgspec.Struct):
    volume_id: SomeId
    name: Name | None = None

    def __post_init__(self) -> None:
        uuid_text("volume_id", self.volume_id)
        not_blank("name", self.name)


class Offer(msgspec.Struct):
    volume_id: SomeId
    name: Name | None = None
    no_snapshots: Annotated[Truth, since(view.NO_SNAPSHOTS)] = False

    def __post_init__(self) -> None:
        uuid_text("volume_id", self.volume_id)
        not_blank("name", self.name)


class Acceptance(msgspec.Struct):
    auth_key: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | int


def _query(call: Call) -> PageQuery:
    paged = call.version >= PAGED
    query = paging.read(call, TRANSFER, pages=paged)
    return query if paged else msgspec.structs.replace(query, sort=(("created_at", "asc"), ("id", "asc")))


def _index(call: Call, tx: Tx) -> view.Summaries:
    """List the offers of the project."""
    found, more, _ = paging.page(call, _query(call), "volume-transfers", lambda q: transfers.page(tx, q))
    paged = call.version >= PAGED
    return view.Summaries([view.summary(call, one) for one in found], more if paged else msgspec.UNSET)


def _detail(call: Call, tx: Tx) -> view.Details:
    """List the offers of the project, with all that there is to know."""
    found, more, _ = paging.page(
        call, _query(call), "volume-transfers/detail", lambda q: transfers.page(tx, q)
    )
    paged = call.version >= PAGED
    return view.Details([view.detail(call, one) for one in found], more if paged else msgspec.UNSET)


def _show(call: Call, tx: Tx, transfer_id: str) -> view.One:
    """Show an offer of the project."""
    return view.One(view.detail(call, transfers.get(tx, transfer_id, call.scope)))


def _create(call: Call, tx: Tx, body: Offer) -> view.One:
    """Offer a volume: whoever has the key of the answer may accept it."""
    return _offered(call, tx, body.volume_id, body.name, no_snapshots=bool(truth(body.no_snapshots)))


def _create_old(call: Call, tx: Tx, body: OldOffer) -> view.One:
    """Offer a volume with its snapshots."""
    return _offered(call, tx, body.volume_id, body.name, no_snapshots=False)


def _offered(call: Call, tx: Tx, volume_id: str, name: str | None, *, no_snapshots: bool) -> view.One:
    made, key = transfer.offer(
        tx, call.caller, volume_id, name.strip() if name else None, no_snapshots=no_snapshots
    )
    return view.One(view.detail(call, made, key))


def _accept(call: Call, tx: Tx, transfer_id: str, body: Acceptance) -> view.OneSummary:
    """Accept an offer: the volume belongs to the caller's project."""
    return view.OneSummary(
        view.summary(call, transfer.accept(tx, call.caller, transfer_id, str(body.auth_key)))
    )


def _remove(call: Call, tx: Tx, transfer_id: str) -> None:
    """Take an offer back."""
    transfer.withdraw(tx, call.caller, transfer_id)


_READ_ALL, _READ, _OFFER = "volume:get_all_transfers", "volume:get_transfer", "volume:create_transfer"
_ACCEPT, _WITHDRAW = "volume:accept_transfer", "volume:delete_transfer"
_ACCEPTING = Body("accept", Acceptance)

index = route("transfers.list", f"GET {NEW}", policy=_READ_ALL, query=LIST)(_index)
detail = route("transfers.detail", f"GET {NEW}/detail", policy=_READ_ALL, query=LIST)(_detail)
show = route("transfers.show", f"GET {NEW}{ONE}", policy=_READ)(_show)
create = route(
    "transfers.create", f"POST {NEW}", hop=WRITE, status=202, policy=_OFFER, body=Body("transfer", Offer)
)(_create)
accept = route(
    "transfers.accept",
    f"POST {NEW}{ONE}/accept",
    hop=WRITE,
    status=202,
    policy=_ACCEPT,
    body=_ACCEPTING,
    errors=(413,),
)(_accept)
remove = route("transfers.delete", f"DELETE {NEW}{ONE}", hop=WRITE, status=202, policy=_WITHDRAW)(_remove)

old_index = route("os-transfers.list", f"GET {OLD}", policy=_READ_ALL, query=LIST)(_index)
old_detail = route("os-transfers.detail", f"GET {OLD}/detail", policy=_READ_ALL, query=LIST)(_detail)
old_show = route("os-transfers.show", f"GET {OLD}{ONE}", policy=_READ)(_show)
old_create = route(
    "os-transfers.create",
    f"POST {OLD}",
    hop=WRITE,
    status=202,
    policy=_OFFER,
    body=Body("transfer", OldOffer),
)(_create_old)
old_accept = route(
    "os-transfers.accept",
    f"POST {OLD}{ONE}/accept",
    hop=WRITE,
    status=202,
    policy=_ACCEPT,
    body=_ACCEPTING,
    errors=(413,),
)(_accept)
old_remove = route("os-transfers.delete", f"DELETE {OLD}{ONE}", hop=WRITE, status=202, policy=_WITHDRAW)(
    _remove
)
