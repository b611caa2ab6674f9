"""Short ways to say what happened, and to write it into a journal."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from msgspec.structs import force_setattr

from ledger import journal, store
from ledger.databases import is_sqlite
from ledger.events import (
    Event,
    HoursRejected,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    Line,
    MemberRegistered,
    OrganisationAdded,
    SubmittedHoursVerified,
    UnitAdded,
    encode,
)
from ledger.units import recorded_text
from projections.views import Views

FIRST = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)  # noon in Shanghai
ZHANG, LI = (f"019f0000-0000-7000-8000-{number:012x}" for number in (1, 2))


def number(n: int) -> str:
    """An id as it could be, different for each number."""
    return f"019f0000-0000-7000-8000-{n:012x}"


def write(
    opened: store.Store, facts: Iterable[Event], every: timedelta = timedelta(hours=1)
) -> None:
    """Append facts, each recorded some time after the one before, by key `key00001`."""
    with opened.writing() as connection:
        after = store.last_position(connection)
        rows: list[store.NewRow] = []
        versions: dict[str, int] = {}
        for place, fact in enumerate(facts, after):
            for name, said in {
                "actor": "key00001",
                "recorded_at": recorded_text(FIRST + place * every),
                "correlation_id": f"chain-{place}",
            }.items():
                if not getattr(fact, name):
                    force_setattr(fact, name, said)
            if fact.stream not in versions:
                versions[fact.stream] = len(store.read_streams(connection, [fact.stream]))
            versions[fact.stream] += 1
            rows.append((fact.stream, versions[fact.stream], type(fact).__name__, encode(fact)))
        store.append(connection, rows, after)
        opened.poke(connection)


@contextmanager
def another_ledger(url: str) -> Iterator[Views]:
    """Empty views over an empty journal, beside all others at an address: for many in one test."""
    name = f"l{uuid4().hex[:20]}"
    if is_sqlite(url):
        url = url.replace("timebank.db", f"{name}.db")
    opened = store.Store(url, name)
    opened.create()
    engine = store.open_engine(store.sibling_url(url, "views"), f"{name}_views", durable=False)
    views = Views(opened, engine)
    yield views
    views.close()
    opened.close()
    engine.dispose()


def facts_of(opened: store.Store) -> list[journal.Entry]:
    """Everything that stands in a journal."""
    with opened.reading() as connection:
        return [entry for page in journal.all_entries(connection) for entry in page]


def field(*members: str) -> list[Event]:
    """A district with a street, an organisation each, and members at home in `org-a`."""
    return [
        UnitAdded(code="west", name="西海岸", level="district"),
        UnitAdded(code="lake", name="湖街", level="street", parent="west"),
        UnitAdded(code="east", name="东海岸", level="district"),
        OrganisationAdded(code="org-a", name="红马甲", kind="volunteer", unit="lake"),
        OrganisationAdded(code="org-b", name="社工站", kind="social_work", unit="east"),
        *(
            MemberRegistered(
                member_id=member, organisation="org-a", roles=("volunteer",), unit="lake"
            )
            for member in members
        ),
    ]


def _content(record: int, member: str, served_on: str, said: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {
        "record_id": number(1_000 + record),
        "member_id": member,
        "organisation": "org-a",
        "receipt": f"R-{record}",
        "activity": "陪伴就医",
        "category": "elderly",
        "place": "lake",
        "responsible": "staff-7",
        "started_at": f"{served_on}T01:00:00Z",
        "ended_at": f"{served_on}T02:30:00Z",
        "served_on": served_on,
        "capacity": "volunteer",
        "evidence": "attested",
        "late": False,
        "policy_version": 1,
    }
    return content | said


def earned(member: str, credits: int) -> tuple[Line, ...]:
    """The lines of an earning; none where nothing was granted."""
    if not credits:
        return ()
    return (("issue:service", -credits), (f"person:{member}:available", credits))


def verified(
    record: int,
    member: str = ZHANG,
    minutes: int = 90,
    served_on: str = "2026-02-28",
    credits: int | None = None,
    entries: Sequence[Line] | None = None,
    **said: Any,
) -> HoursVerified:
    """Hours that count at once."""
    granted = minutes if credits is None else credits
    lines = earned(member, granted) if entries is None else tuple(entries)
    figures = {"minutes": minutes, "credits": granted, "overlap_minutes": 0, "rate_bps": 10_000}
    return HoursVerified(**_content(record, member, served_on, figures | {"entries": lines} | said))


def submitted(
    record: int, member: str = ZHANG, served_on: str = "2026-02-28", **said: Any
) -> HoursSubmitted:
    """Hours that wait for a second person."""
    return HoursSubmitted(**_content(record, member, served_on, {"evidence": "backfilled"} | said))


def then_verified(
    record: int,
    member: str = ZHANG,
    minutes: int = 90,
    served_on: str = "2026-02-28",
    **said: Any,
) -> SubmittedHoursVerified:
    """The word that makes submitted hours count."""
    figures: dict[str, Any] = {
        "minutes": minutes,
        "credits": minutes,
        "overlap_minutes": 0,
        "rate_bps": 10_000,
        "entries": earned(member, minutes),
        "policy_version": 1,
    }
    return SubmittedHoursVerified(
        record_id=number(1_000 + record),
        member_id=member,
        organisation="org-a",
        served_on=served_on,
        **(figures | said),
    )


def then_rejected(record: int, member: str = ZHANG, served_on: str = "2026-02-28") -> HoursRejected:
    """The word that submitted hours never count."""
    return HoursRejected(
        record_id=number(1_000 + record),
        member_id=member,
        organisation="org-a",
        served_on=served_on,
        reason="没有签到",
    )


def then_reversed(
    record: int,
    member: str = ZHANG,
    minutes: int = 90,
    served_on: str = "2026-02-28",
    credits: int | None = None,
    entries: Sequence[Line] | None = None,
    **said: Any,
) -> HoursReversed:
    """The word that verified hours count no more; taken out of what is available, if not said."""
    taken = minutes if credits is None else credits
    lines = tuple((name, -moved) for name, moved in earned(member, taken))
    return HoursReversed(
        record_id=number(1_000 + record),
        member_id=member,
        organisation="org-a",
        started_at=f"{served_on}T01:00:00Z",
        ended_at=f"{served_on}T02:30:00Z",
        served_on=served_on,
        minutes=-minutes,
        credits=-taken,
        entries=lines if entries is None else tuple(entries),
        **{"reason": "录入有误", "reverses": 1} | said,
    )
