"""Papers as HTTP hands them out, whichever kind."""

from typing import Annotated

import orjson
from aiohttp import web
from pydantic import Field

from api.call import Call
from api.replies import Reply
from api.service_records import sight
from ledger.paper_numbers import number_read
from ledger.units import Refused
from projections.papers import issued
from projections.papers.office import Found

Number = Annotated[str, Field(description="As it is printed: `ST-7K3M-9QX4-T2BC`.")]
PDF = "application/pdf"
CREDENTIAL = "application/vc"


async def found_or_refuse(call: Call, kind: issued.Kind) -> Found:
    """The paper of the number in the path, in whatever spelling, if the caller may see it."""
    number = number_read(call.path["number"])
    found = await call.in_thread(call.door.office.find, kind, number, *sight(call))
    if found is None:
        raise Refused("not_found")
    return found


async def handed_out(call: Call, found: Found, position: int) -> web.Response:
    """A paper as a credential."""
    document = await call.in_thread(call.door.office.credential, found.paper)
    return attached(call, CREDENTIAL, f"{found.row.number}.json", orjson.dumps(document), position)


def attached(call: Call, media: str, name: str, content: bytes, position: int) -> web.Response:
    """The answer that is a file."""
    headers = call.headers(media, position)
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Reply(200, headers, content)
