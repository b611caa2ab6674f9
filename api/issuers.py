"""What verifiers of credentials look up without a key: issuers with their keys, status lists."""

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from api.call import Call
from api.contract import Route
from api.papers import CREDENTIAL
from api.replies import Reply
from ledger.units import Refused, instant_text
from projections import trail
from projections.papers import issued, issuers, status_lists
from projections.papers.linked_data import Document

LD_JSON = "application/ld+json"
LISTS_MAX = 64
"""Signed lists that are kept for the minute that they were made in."""

PUBLIC_SECONDS = 60
"""How long whoever verifies may keep an issuer's document or a list; then it is asked anew."""


async def issuer(call: Call) -> web.Response:
    """Who an issuer is, and the keys that sign for it."""
    return await _published(call, _issuer_document)


async def status_list(call: Call) -> web.Response:
    """Which papers of an issuer have no force any more."""
    return await _published(call, _status_list)


async def _published(call: Call, made: Callable[[Call], Document | None]) -> web.Response:
    document = await call.in_thread(made, call)
    if document is None:
        raise Refused("not_found")
    headers = call.headers(LD_JSON if made is _issuer_document else CREDENTIAL)
    headers["Cache-Control"] = f"public, max-age={PUBLIC_SECONDS}"
    headers["Access-Control-Allow-Origin"] = "*"  # verifiers run in browsers too
    return Reply(200, headers, orjson.dumps(document))


def _issuer_document(call: Call) -> Document | None:
    with call.ledger.views_engine.connect() as connection:
        found = call.door.office.issuer(connection, call.path["code"])
    if found is None:
        return None
    return issuers.issuer_document(found, call.door.office.keys())


def _status_list(call: Call) -> Document | None:
    number = int(call.path["list"])
    first = number * status_lists.PLACES
    with call.ledger.views_engine.connect() as connection:
        found = call.door.office.issuer(connection, call.path["code"])
        if found is None or first > trail.position(connection):
            return None
        last = first + status_lists.PLACES - 1
        statuses = dict(issued.without_force(connection, found.code, first, last))
    as_of = instant_text(call.ledger.committer.clock().replace(second=0, microsecond=0))
    kept, key = call.door.status_lists, call.door.office.keys()[-1]
    place = (found, number, as_of, tuple(statuses.items()), key)
    if (there := kept.get(place)) is not None:
        return there
    listed = status_lists.status_list(found, number, statuses, as_of)
    signed = call.door.office.signed(listed, found, as_of)  # some milliseconds: it is kept
    if len(kept) >= LISTS_MAX:
        kept.clear()
    kept[place] = signed
    return signed


_COMMON: dict[str, Any] = {
    "method": "GET",
    "tag": "Verification",
    "answers": {200: None},
    "problems": ("signing_key_not_in_force",),
}

ROUTES = [
    Route(
        **_COMMON,
        path="/issuers/{code}",
        handler=issuer,
        operation="get_issuer",
        summary_zh="凭证出具者及其公钥（无需密钥）",
        summary_en="Who issues credentials, with the keys that sign them (W3C CID 1.0)",
        also=(LD_JSON,),
    ),
    Route(
        **_COMMON,
        path="/credentials/status/{code}/{list}",
        handler=status_list,
        operation="get_status_list",
        summary_zh="凭证状态列表（无需密钥）",
        summary_en="Which credentials have no force any more (W3C Bitstring Status List 1.0)",
        also=(CREDENTIAL,),
    ),
]
