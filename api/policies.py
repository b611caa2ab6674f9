"""Policies: versions of the rule book of numbers, published from a date on, and what holds when."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import orjson
from aiohttp import web
from pydantic import BaseModel, Field, RootModel
from sqlalchemy import Connection

from api.asks import Ask, Day, FieldNo, Reason, Text, holds_personal_data
from api.call import Call
from api.contract import (
    ADMINS,
    EVERYONE,
    JSON,
    DayText,
    Fields,
    InstantText,
    Page,
    PageQuery,
    ReadQuery,
    Route,
    Written,
)
from api.lists import answer_page
from api.replies import Reply
from ledger.commands import PublishPolicy
from ledger.desk import Done
from ledger.events import PolicyPublished
from ledger.policy import wrong_shapes
from ledger.policy_packs import packs
from projections import policies


class ChangesAsk(Ask):
    """New values for some keys."""

    changes: Annotated[
        dict[Text, Any],
        Field(
            min_length=1,
            description="New values by key. Version 1 lists every key with its default and, where "
            "that is an object, the names in it; names left out take the default's value.",
            examples=[{"zone": "Asia/Shanghai"}, {"rounding": "hour_floor"}],
        ),
    ]

    @classmethod
    def amiss(cls, values: Mapping[str, Any]) -> Iterator[FieldNo]:
        """Every value fits its key, and no name in it holds personal data."""
        changes = values.get("changes", {})
        for shape in wrong_shapes(changes):
            yield ("changes", *shape.place), "invalid_policy", {"problem": shape.problem}
        for path in _personal(changes, ("changes",)):
            yield path, "personal_data_in_text", {}


class PolicyAsk(ChangesAsk):
    """New values for some keys, from a date on."""

    entering = ("note",)

    effective_on: Day
    note: Reason | None = None


class PolicyWritten(Written):
    """A version that was just published."""

    version: Annotated[int, Field(ge=2)]
    effective_on: DayText
    changes: dict[str, Any]
    note: str | None


class Policy(BaseModel):
    """A version; version 1 is the defaults, always in force."""

    version: Annotated[int, Field(ge=1)]
    effective_on: DayText | None
    changes: dict[str, Any]
    note: str | None
    recorded_at: InstantText | None


class PolicyPage(Page):
    """Versions, from 1."""

    data: list[Policy]


class PolicyValues(BaseModel):
    """What every key says for a date."""

    date: DayText
    version: Annotated[int, Field(ge=1)]
    values: dict[str, Any]


class Pack(BaseModel):
    """Changes after what is known of a city, for whoever wants to publish them."""

    name: str
    source: Annotated[
        str, Field(description="Whence the numbers are, in the language that was asked for.")
    ]
    changes: dict[str, Any]


class Packs(RootModel[list[Pack]]):
    """Every pack, by name."""


class DateQuery(ReadQuery):
    """For which date."""

    date: Day


async def publish(call: Call) -> web.Response:
    """Give keys new values from a date on."""
    asked: PolicyAsk = call.body
    command = PublishPolicy(
        **call.stamp(), effective_on=asked.effective_on, changes=asked.changes, note=asked.note
    )
    return await call.write(command, _published)


def _published(done: Done) -> tuple[int, Fields]:
    event = done.entries[-1].event
    assert isinstance(event, PolicyPublished)  # noqa: S101  (the rule makes nothing else)
    said = {
        "version": event.version,
        "effective_on": event.effective_on,
        "changes": event.changes,
        "note": event.note,
    }
    return 201, said


async def listing(call: Call) -> web.Response:
    """All versions."""
    return await answer_page(call, policies.listing, call.query.after, call.query.limit)


async def item(call: Call) -> web.Response:
    """One version."""
    return await call.read(_version, int(call.path["version"]))


async def at(call: Call) -> web.Response:
    """What holds on a date."""
    return await call.read(policies.at, call.query.date)


async def list_packs(call: Call) -> web.Response:
    """The packs that come with this software; nothing of them holds before it is published."""
    language = call.language
    said = [
        {"name": pack.name, "source": pack.source[language], "changes": pack.changes}
        for pack in packs().values()
    ]
    headers = call.headers(JSON, call.views.position) | {"Content-Language": language}
    return Reply(200, headers, orjson.dumps(said))


def _version(connection: Connection, version: int) -> Fields | None:
    found = policies.listing(connection, version - 1, 1).items
    return found[0] if found else None


def _personal(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    match value:
        case dict():
            for name, inner in value.items():
                if holds_personal_data(name):
                    yield path
                yield from _personal(inner, (*path, name))
        case list():
            for index, inner in enumerate(value):
                yield from _personal(inner, (*path, str(index)))
        case str() if holds_personal_data(value):
            yield path


ROUTES = [
    Route(
        method="POST",
        path="/v1/policies",
        handler=publish,
        operation="publish_policy",
        tag="Policies",
        summary_zh="发布政策",
        summary_en="Publish a policy",
        roles=ADMINS,
        write=True,
        body=PolicyAsk,
        example={
            "effective_on": "2026-06-01",
            "changes": {"rounding": "half_hour_floor"},
            "note": "夏季起按半小时计",
        },
        answers={201: PolicyWritten},
        problems=("personal_data_in_text",),
    ),
    Route(
        method="GET",
        path="/v1/policies",
        handler=listing,
        operation="list_policies",
        tag="Policies",
        summary_zh="政策版本列表",
        summary_en="List the versions of the policy",
        roles=EVERYONE,
        query=PageQuery,
        answers={200: PolicyPage},
    ),
    Route(
        method="GET",
        path="/v1/policies/at",
        handler=at,
        operation="policy_at",
        tag="Policies",
        summary_zh="某日有效的政策",
        summary_en="What every key says for a date",
        roles=EVERYONE,
        query=DateQuery,
        answers={200: PolicyValues},
    ),
    Route(
        method="GET",
        path="/v1/policies/packs",
        handler=list_packs,
        operation="list_policy_packs",
        tag="Policies",
        summary_zh="政策包：各地做法的数值与出处",
        summary_en="List the packs of changes, with their sources",
        roles=EVERYONE,
        answers={200: Packs},
    ),
    Route(
        method="GET",
        path="/v1/policies/{version}",
        handler=item,
        operation="get_policy",
        tag="Policies",
        summary_zh="一个政策版本",
        summary_en="Get a version of the policy",
        roles=EVERYONE,
        answers={200: Policy},
    ),
]
