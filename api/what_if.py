"""What-if over HTTP: a span of service dates replayed under other numbers."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, Field

from api.asks import Day, FieldNo, Uuid
from api.call import Call
from api.contract import AUDITORS, Fields, Route
from api.policies import ChangesAsk
from ledger import journal, store
from ledger.what_if import Compared, WhatIf


class WhatIfAsk(ChangesAsk):
    """Which numbers, for services of which dates; both ends are in the span."""

    first: Annotated[Day, Field(alias="from")]
    last: Annotated[Day, Field(alias="to")]

    @classmethod
    def amiss(cls, values: Mapping[str, Any]) -> Iterator[FieldNo]:
        """Every value fits its key, and the span does not end before it begins."""
        yield from super().amiss(values)
        if "first" in values and "last" in values and values["last"] < values["first"]:
            yield ("to",), "wrong_value", {"expected": "≥ from"}


class Difference(BaseModel):
    """Credits granted for services in the span, reversed ones left out."""

    credits: Annotated[int, Field(description="As recorded.")]
    would_be: Annotated[int, Field(description="Under the changed numbers.")]
    difference: int


class MemberDifference(Difference):
    """What it comes to for one member."""

    member_id: Uuid


class WhatIfAnswer(BaseModel):
    """Everybody who served in the span, and all together."""

    members: list[MemberDifference]
    total: Difference


async def what_if(call: Call) -> web.Response:
    """Replay a span under changed numbers; nothing is written."""
    asked: WhatIfAsk = call.body
    position = call.views.position
    replay = WhatIf(asked.changes, asked.first, asked.last)
    await call.in_thread(_tell_all, replay, call.ledger.store)
    members = [{"member_id": who, **told(one)} for who, one in replay.members.items()]
    return call.answer({"members": members, "total": told(replay.total)}, position=position)


def told(compared: Compared) -> Fields:
    """The three figures of a comparison."""
    return {
        "credits": compared.credits,
        "would_be": compared.would_be,
        "difference": compared.difference,
    }


def _tell_all(replay: WhatIf, opened: store.Store) -> None:
    with opened.reading() as connection:
        for page in journal.all_entries(connection):
            replay.tell(page)


ROUTES = [
    Route(
        method="POST",
        path="/v1/policies/what-if",
        handler=what_if,
        operation="what_if",
        tag="Policies",
        summary_zh="试算：按另一组数值重放一段服务日期，不作任何改动",
        summary_en="Replay a span of service dates under other numbers, changing nothing",
        roles=AUDITORS,
        body=WhatIfAsk,
        example={"changes": {"daily_cap": 360}, "from": "2026-06-01", "to": "2026-06-30"},
        answers={200: WhatIfAnswer},
        problems=("personal_data_in_text",),
    ),
]
