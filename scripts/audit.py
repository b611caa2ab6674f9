"""`timebank audit`: what an auditor does without trusting whoever keeps the ledger."""

import base64
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scripts.door import AsOf, Day, now, opened_journal, opened_views
from scripts.printing import Exit, Stopped, Told, fields, progress, table, verb
from scripts.sayings import explained, said
from scripts.verifying import FILE, first_wrong, key_of, notes_of, verified, verified_file

if TYPE_CHECKING:
    from ledger.verification import Verdict
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
    ),
    click.option(
        "--pinned",
        type=FILE,
        help=explained("另行保存的检查点", "checkpoints that were kept elsewhere"),
    ),
    click.option(
        "--since-pinned",
        is_flag=True,
        help=explained(
            "最后一个另存检查点之前只核对散列",
            "up to the last pinned checkpoint hash the entries, but do not read them again",
        ),
    ),
    click.option(
        "--file",
        "export",
        type=FILE,
        help=explained("核验导出的 NDJSON 文件", "verify an NDJSON export, no database"),
    ),
    click.option(
        "--key",
        "keys",
        multiple=True,
        help=explained("账本公钥，可多次", "a public key of the ledger; may be repeated"),
    ),
)
def verify(
    until: int | None,
    pinned: Path | None,
    since_pinned: bool,
    export: Path | None,
    keys: tuple[str, ...],
) -> Told:
    """Recompute every leaf, sum and root, and check every checkpoint; needs no secret."""
    from ledger.store import last_position

    if since_pinned and pinned is None:
        raise Stopped("missing_parameter", Exit.USAGE, name="--pinned")
    for name, asked in (("--until", until), ("--since-pinned", since_pinned)):
        if export is not None and asked:  # a file is read as a whole
            raise Stopped("one_of_two_options", Exit.USAGE, first="--file", second=name)
    given = [key_of(each) for each in keys]
    kept = notes_of(pinned) if pinned is not None else []
    if export is not None:
        with progress("verifying") as shown:
            verdict, _ = verified_file(export, kept, given, shown.to)
        return _verdict(verdict, "given" if given else None)
    since = max((note.checkpoint.size for note in kept), default=0) if since_pinned else 0
    with opened_journal() as store:
        with store.reading() as connection:
            last = last_position(connection)
        with progress("verifying", until or last) as shown:
            verdict, source = verified(store, kept, given, shown.to, until=until, since=since)
    return _verdict(verdict, source)


def _verdict(verdict: "Verdict", keys: str | None) -> Told:
    wrong = verdict.wrong
    value = {
        "ok": wrong is None,
        "entries": verdict.entries,
        "last_position": verdict.last_position,
        "streams": verdict.streams,
        "foreign": verdict.foreign,
        "root": base64.b64encode(verdict.root).decode(),
        "checkpoints": verdict.checkpoints,
        "attested": verdict.attested,
        "pinned": verdict.pinned,
        "cosignatures": verdict.cosignatures,
        "keys": keys,
        "first_wrong": wrong and first_wrong(wrong),
    }
    if wrong is None:
        lines = [said("verified", entries=verdict.entries)]
        if verdict.checkpoints:
            lines.append(said("attested", count=verdict.checkpoints, size=verdict.attested))
        if verdict.pinned:
            lines.append(said("pinned", count=verdict.pinned))
        if keys != "given":
            lines.append(said("keys_from_here" if keys else "no_keys"))
        return Told(value, lines)
    what = said(f"wrong_{wrong.fault}")
    lines = [said("first_wrong", position=wrong.position, what=what)]
    if wrong.checkpoint is not None:
        lines.append(said("wrong_by_checkpoint", size=wrong.checkpoint))
    return Told(value, lines, Exit.WRONG)


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


class Point(AsOf):
    """A position, a date (its end), or an instant."""

    name = "position|date|instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The position, the date or the instant; usage, where it is none."""
        if isinstance(value, str) and value.isdecimal() and value.isascii():
            return int(value)
        return super().convert(value, param, ctx)


@verb(
    click.option("--from", "begins", type=Point(), required=True),
    click.option("--to", "ends", type=Point(), required=True),
)
def diff(begins: int | date | datetime, ends: int | date | datetime) -> Told:
    """What changed in the books between two points: events by type, accounts before and after."""
    from ledger.journal import PAGE
    from ledger.store import read
    from projections.sums import Sums, add, position_of

    found, types = Sums(), dict[str, int]()
    with opened_journal() as store, store.reading() as connection:
        first, last = position_of(connection, begins), position_of(connection, ends)
        if first > last:
            raise Stopped("ends_before_it_begins", Exit.USAGE, first=first, last=last)
        before: dict[str, int] = {}
        with progress("reading", last) as shown:
            for until in (first, last):
                while rows := read(connection, found.position, PAGE, until):
                    if until == last:
                        for row in rows:
                            types[row.type] = types.get(row.type, 0) + 1
                    add(found, rows)
                    shown.to(found.position)
                if until == first:
                    before = dict(found.accounts)
                    types.clear()
    accounts = [
        {
            "account": name,
            "before": before.get(name, 0),
            "after": credits,
            "change": credits - before.get(name, 0),
        }
        for name, credits in sorted(found.accounts.items())
        if credits != before.get(name, 0) or name not in before
    ]
    events = [{"type": name, "count": count} for name, count in sorted(types.items())]
    value = {"from": first, "to": last, "events": events, "accounts": accounts}
    columns = ("account", "before", "after", "change")
    lines = [
        fields({"from": first, "to": last}),
        table(("type", "count"), events),
        table(columns, accounts),
    ]
    return Told(value, lines)


@verb(
    click.option(
        "--seed", required=True, help=explained("抽样种子", "whoever knows it draws the same")
    ),
    click.option("--n", "number", type=click.IntRange(1, 10_000), default=10, show_default=True),
    POSITION,
)
def sample(seed: str, number: int, position: int | None) -> Told:
    """Records drawn at random, each with all that led to it; the same seed draws the same."""
    from api.audit import read_events
    from projections.samples import drawn, led_to

    with opened_views() as views:
        views.catch_up()
        with views.store.reading() as connection, progress("reading") as shown:
            draw = drawn(connection, seed, number, position, shown.to)
        records = []
        for each in draw.records:
            positions = led_to(views, each.record_id, draw.position)
            records.append({**each._asdict(), "events": read_events(views.store, positions)})
    value = {
        "seed": seed,
        "position": draw.position,
        "population": draw.population,
        "records": records,
    }
    lines: list[Any] = [fields({name: value[name] for name in ("position", "population")})]
    columns = ("position", "recorded_at", "type", "stream", "actor")
    for record in records:
        lines += ["", record["record_id"], table(columns, record["events"])]
    return Told(value, lines)


@verb(
    click.option("--after", type=click.IntRange(min=0), default=0),
    click.option("--limit", type=click.IntRange(1, 10_000), default=EVENTS_DEFAULT),
)
def reads(after: int, limit: int) -> Told:
    """What auditors have looked at over HTTP."""
    from ledger.access_log import reads_after

    with opened_journal() as store:
        found = reads_after(store, after, limit + 1)
    following = found[limit - 1]["id"] if len(found) > limit else None
    columns = ("id", "at", "key_id", "path", "request_id")
    return Told({"data": found[:limit], "next": following}, [table(columns, found[:limit])])


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
