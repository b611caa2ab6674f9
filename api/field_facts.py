"""What the resources of the field's work have in common: filters, verbs, and what answers tell."""

from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import Code, Uuid
from api.call import Call
from api.contract import InstantText, PageQuery, Written
from api.lists import answer_page
from projections import shelves

FILING = ("organisation_suspended", "not_found", "personal_data_in_text")
STEPPING = ("wrong_state", "in_the_future", "out_of_order", "personal_data_in_text")
WITHDRAWING = ("wrong_state", "personal_data_in_text")


class FieldQuery(PageQuery):
    """Filters; all that are given hold."""

    organisation: Code | None = None
    unit: Code | None = None


class SearchQuery(FieldQuery):
    """A search: all that is given holds."""

    q: Annotated[
        str | None,
        Field(min_length=1, max_length=100, description="Somewhere in the texts."),
    ] = None


Category = Annotated[str | None, Field(max_length=200)]


class FiledWritten(Written):
    """A thing after what was just written."""

    id: Uuid


class Filed(BaseModel):
    """A thing as it stands."""

    id: Uuid
    organisation: Annotated[Code, Field(description="Whose it is.")]
    reason: Annotated[str | None, Field(description="Of its end.")]
    recorded_at: InstantText
    position: Annotated[int, Field(ge=1, description="Of the last fact about it.")]


async def answer_field(call: Call, shelf: shelves.Shelf, *names: str) -> web.Response:
    """A page of a shelf that everybody may see all of; `names` are further columns to filter by."""
    query: Any = call.query
    filters = {
        name: said for name in ("unit", *names) if (said := getattr(query, name)) is not None
    }
    return await answer_page(
        call,
        shelves.listing,
        shelf,
        query.after,
        query.limit,
        organisation=query.organisation,
        member_id=getattr(query, "member_id", None),
        search=getattr(query, "q", None),
        filters=filters,
    )


def verb(call: Call, id: str) -> dict[str, Any]:
    """What every verb on a thing of the path says: who asks, about which, for whom."""
    return {**call.stamp(), id: call.path["id"], "organisation": call.key.organisation}
