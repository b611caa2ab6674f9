"""`timebank audit`: what an auditor does without trusting whoever keeps the ledger."""

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from scripts.door import Day, now, opened_journal, opened_views
from scripts.printing import Exit, Stopped, Told, fields, progress, table, verb
from scripts.sayings import explained, said

if TYPE_CHECKING:
    from projections.replay import Replayed
    from projections.views import Views

REPLAY_ATTEMPTS = 3  # the live views may be rebuilt under one's eyes
EVENTS_DEFAULT = 50

POSITION = click.option(
    "--position", type=click.IntRange(min=0), help=explained("位置，默认最新", "default: the last")
)


@verb(
    click.option(
        "--until", type=click.IntRange(min=1), help=explained("核验到此位置", "up to this position")
    )
)
def verify(until: int | None) -> Told:
    """Recompute every leaf, version and sum; needs the journal alone."""
    from ledger.store import last_position
    from ledger.verification import verify as verified

    with opened_journal() as store:
        with store.reading() as connection:
            last = last_position(connection)
        with progress("verifying", until or last) as shown:
            verdict = verified(store, until, shown.to)
    wrong = verdict.wrong
    what = said(f"wrong_{wrong.fault}") if wrong else ""
    value = {
        "ok": wrong is None,
        "entries": verdict.entries,
        "last_position": verdict.last_position,
        "streams": verdict.streams,
        "foreign": verdict.foreign,
        "first_wrong": wrong and {"position": wrong.position, "fault": wrong.fault, "detail": what},
    }
    if wrong is None:
        return Told(value, [said("verified", entries=verdict.entries)])
    line = said("first_wrong", position=wrong.position, what=what)
    return Told(value, [line], Exit.WRONG)


@verb(
    click.option(
        "--until", type=click.IntRange(min=1), help=explained("重放到此位置", "up to this position")
    )
)
def replay(until: int | None) -> Told:
    """Build every view anew in a fresh database, and compare it with the live one."""
    with opened_views() as views, progress("replaying") as shown:

        def heard(position: int, last: int) -> None:
            shown.total = last
            shown.to(position)

        views.catch_up(progress=heard)
        replayed = _replayed(views, until, heard)
    live, anew = replayed.digests
    found = replayed.difference
    value = {
        "position": replayed.position,
        "equal": found is None and live == anew,
        "live": live,
        "replayed": anew,
        "views": {
            name: {"rows": digest.rows, "live": digest.sha256, "replayed": other.sha256}
            for (name, digest), other in zip(
                replayed.live.items(), replayed.replayed.values(), strict=True
            )
        },
        "difference": found and found._asdict(),
    }
    shown_fields = fields({name: value[name] for name in ("position", "live", "replayed")})
    if found is None:
        return Told(value, [shown_fields, said("views_equal")])
    line = said("first_difference", view=found.view, row=_row(found.key))
    both = table(
        ("field", "live", "replayed"),
        [
            {
                "field": name,
                "live": (found.live or {}).get(name),
                "replayed": (found.replayed or {}).get(name),
            }
            for name in found.live or found.replayed or {}
        ],
    )
    return Told(value, [shown_fields, line, both], Exit.WRONG)


@verb(
    click.option("--member", help=explained("成员编号", "id of a member")),
    click.option("--record", help=explained("服务记录编号", "id of a service record")),
    click.option("--correlation", help=explained("关联编号", "a correlation id")),
    click.option("--actor", help=explained("经办：密钥编号、cli 或 jobs", "key id, cli or jobs")),
    click.option("--after", type=click.IntRange(min=0), default=0),
    click.option(
        "--limit", type=click.IntRange(1, 10_000), default=EVENTS_DEFAULT, show_default=True
    ),
)
def trail(
    member: str | None,
    record: str | None,
    correlation: str | None,
    actor: str | None,
    after: int,
    limit: int,
) -> Told:
    """The events that answer to every filter, oldest first."""
    from api.audit import read_events
    from projections import trail as view

    with opened_views() as views:
        views.catch_up()
        with views.engine.connect() as connection:
            found = view.entries(
                connection,
                after,
                limit,
                member_id=member,
                record_id=record,
                correlation_id=correlation,
                actor=actor,
            )
        events = read_events(views.store, [each["position"] for each in found.items])
    columns = ("position", "recorded_at", "type", "stream", "actor", "correlation_id")
    return Told({"data": events, "next": found.next}, [table(columns, events)])


@verb(POSITION)
def trial_balance(position: int | None) -> Told:
    """Every account at a position, folded from the journal itself, and their sum: 0."""
    from ledger.journal import PAGE
    from ledger.store import last_position, read
    from projections.sums import Sums, add

    found = Sums()
    with opened_journal() as store, store.reading() as connection:
        last = last_position(connection)
        last = last if position is None else min(position, last)
        with progress("reading", last) as shown:
            while rows := read(connection, found.position, PAGE, last):
                add(found, rows)
                shown.to(found.position)
    accounts = [
        {"account": name, "credits": credits} for name, credits in sorted(found.accounts.items())
    ]
    value = {"position": found.position, "accounts": accounts, "sum": found.total}
    right = found.total == 0 and found.unbalanced is None
    lines = [
        table(("account", "credits"), accounts),
        fields({"position": found.position, "sum": found.total}),
    ]
    return Told(value, lines, Exit.OK if right else Exit.WRONG)


@verb(
    click.argument("name", metavar="ACCOUNT"),
    click.option("--after", type=click.IntRange(min=0), default=0),
    click.option("--limit", type=click.IntRange(1, 10_000), default=EVENTS_DEFAULT),
)
def account(name: str, after: int, limit: int) -> Told:
    """An account's lines with what it held after each."""
    from projections.journal_lines import account_lines

    with opened_views() as views:
        views.catch_up()
        with views.engine.connect() as connection:
            found = account_lines(connection, name, after, limit)
    if found is None:
        raise Stopped("no_such_account", Exit.REFUSED, name=name)
    columns = ("position", "recorded_at", "type", "served_on", "credits", "balance_after")
    return Told({"data": found.items, "next": found.next}, [table(columns, found.items)])


@verb(click.option("--day", type=Day(), help=explained("账龄截止日期，默认今天", "ages as of")))
def solvency(day: date | None) -> Told:
    """What the bank owes, how old that is, and where the rest has gone."""
    from projections.page import published
    from projections.solvency import solvency as figures

    with opened_views() as views:
        views.catch_up()
        with views.engine.connect() as connection:
            day = day or published(connection).recording(now()).today
            value = figures(connection, day)
    ages = value["ages"]
    rest = {name: said for name, said in value.items() if name != "ages"}
    return Told(value, [fields(rest), table(("from_days", "to_days", "credits"), ages)])


def _replayed(views: "Views", until: int | None, heard: Any) -> "Replayed":
    from projections.replay import Rebuilt
    from projections.replay import replay as replayed

    for _ in range(REPLAY_ATTEMPTS):
        try:
            return replayed(views.store, views, until, heard)
        except Rebuilt:
            continue
    raise Stopped("views_rebuilt", Exit.UNAVAILABLE)


def _row(key: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in key.items())
