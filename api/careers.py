"""A member's career over HTTP: certificates, points, the rung reached, and what the next needs."""

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.asks import Uuid
from api.call import Call
from api.certifications import Certification
from api.contract import EVERYONE, DayText, Fields, ReadQuery, Route
from api.members import TAG, sight_of
from api.passbooks import AsOf, Registration, TierName
from ledger.keys import Key
from ledger.rules.ladder import GateName
from ledger.units import Refused
from projections import passbook


class CareerQuery(AsOf, ReadQuery):
    """A career, as of when."""


async def career(call: Call) -> web.Response:
    """Where a member stands, and why."""
    return await call.read(_visible_career, call.key, call.path["id"], call.query)


def _visible_career(
    connection: Connection, key: Key, member_id: str, query: CareerQuery
) -> Fields | None:
    sight = sight_of(connection, key, member_id)
    if sight is None:
        return None
    if sight == "joined":
        raise Refused("forbidden")
    return career_of(connection, member_id, query)


def career_of(connection: Connection, member_id: str, query: AsOf) -> Fields | None:
    """Where a member stands, as of when; None where nobody has that id."""
    found = passbook.standing_of(
        connection,
        member_id,
        position=query.position,
        as_of=query.as_of,
        served_until=query.served_until,
    )
    if found is None:
        return None
    where = found.where
    return {
        "member_id": member_id,
        "position": found.position,
        "day": found.day.isoformat(),
        "certifications": found.certificates,
        "points": found.points,
        "tier": where.tier,
        "met": [gate.name for gate in where.reached if gate.is_met],
        "missing": [gate.name for gate in where.reached if not gate.is_met],
        "gap": where.gap,
        "gates": [
            {**gate._asdict(), "met": gate.is_met}  # of all rungs
            for gate in where.gates
        ],
        "registration": found.registration,
    }


# --- answers -------------------------------------------------------------------------------------


class PointsTold(BaseModel):
    """Professional points: each number opens to the lines of the passbook."""

    total: int
    by_source: dict[str, int]
    by_year: Annotated[dict[str, int], Field(description="By the calendar year of the date.")]


class GateTold(BaseModel):
    """A condition of a rung."""

    rung: Literal["CERTIFIED", "PROFESSIONAL", "SUPERVISING_EXPERT"]
    name: GateName
    needed: int
    have: int
    met: bool


class Career(BaseModel):
    """Where a member stands."""

    member_id: Uuid
    position: int
    day: Annotated[DayText, Field(description="The date that the gates are looked at on.")]
    certifications: Annotated[list[Certification], Field(description="As they stood then.")]
    points: PointsTold
    tier: TierName
    met: Annotated[list[GateName], Field(description="Of the rungs up to the next.")]
    missing: Annotated[list[GateName], Field(description="Of the rungs up to the next.")]
    gap: Annotated[int, Field(description="Points that the next rung still needs.")]
    gates: list[GateTold]
    registration: Registration | None


ROUTES = [
    Route(
        method="GET",
        path="/v1/members/{id}/career",
        handler=career,
        operation="get_career",
        tag=TAG,
        summary_zh="成长档案：证书、积分、通道层级与差距",
        summary_en="A member's career: certificates, points, rung, what is missing",
        roles=EVERYONE,
        query=CareerQuery,
        answers={200: Career},
    ),
]
