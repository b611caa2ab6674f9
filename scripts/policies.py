"""`timebank policy`: the rule book of numbers, its versions, and what holds on a date."""

import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ledger.policy_packs import packs as all_packs
from scripts.door import Day, ask, checked, now, opened, opened_journal, read_file, stamp
from scripts.printing import Exit, Stopped, Told, fields, progress, table, verb
from scripts.sayings import explained, languages

if TYPE_CHECKING:
    from ledger.policy import Policies


@verb()
def list_all() -> Told:
    """Every version; version 1 is the defaults, always in force."""
    from ledger.policy import DEFAULTS

    versions: list[dict[str, Any]] = [
        {
            "version": 1,
            "effective_on": None,
            "changes": DEFAULTS,
            "note": None,
            "recorded_at": None,
        }
    ]
    versions += [
        {
            "version": each.version,
            "effective_on": each.effective_on,
            "changes": each.changes,
            "note": each.note,
            "recorded_at": each.recorded_at,
        }
        for each in _read().versions
    ]
    columns = ("version", "effective_on", "changes", "note", "recorded_at")
    return Told({"policies": versions}, [table(columns, versions)])


@verb(click.option("--at", type=Day(), help=explained("日期，默认今天", "a date; default today")))
def show(at: date | None) -> Told:
    """Every key's value for a date."""
    policies = _read()
    at = at or policies.recording(now()).today
    values = policies.on(at)
    value = {"date": at.isoformat(), "version": policies.version, "values": values}
    return Told(value, [fields({"date": at, "version": policies.version, **values})])


EFFECTIVE_ON = click.option(
    "--effective-on", required=True, type=Day(), help=explained("生效日期", "from")
)
NOTE = click.option("--note", help=explained("说明", "what it is about"))


@verb(click.argument("file", type=click.Path(path_type=Path)), EFFECTIVE_ON, NOTE)
def publish(file: Path, effective_on: date, note: str | None) -> Told:
    """Give the keys in FILE (JSON or TOML) new values from a date on."""
    return _publish(read_changes(file), effective_on, note)


@verb()
def packs() -> Told:
    """The packs that come with this software, and whence their numbers are."""
    listed = [
        {
            "name": pack.name,
            "source": " / ".join(pack.source[language] for language in languages()),
            "changes": pack.changes,
        }
        for pack in all_packs().values()
    ]
    lines = [line for pack in listed for line in (fields(pack), "")]
    return Told(listed, lines[:-1])


@verb(
    click.argument("name", metavar="NAME", type=click.Choice(tuple(all_packs()))),
    EFFECTIVE_ON,
    NOTE,
)
def publish_pack(name: str, effective_on: date, note: str | None) -> Told:
    """Give the keys of a pack its values from a date on."""
    pack = all_packs()[name]
    return _publish(pack.changes, effective_on, note or f"政策包 / pack: {name}")


def read_changes(path: Path) -> dict[str, Any]:
    """The object in a file: TOML where its name ends so, else JSON."""
    import orjson

    text = read_file(path)
    try:
        if path.suffix.lower() == ".toml":
            return {name: _json(value) for name, value in tomllib.loads(text.decode()).items()}
        changes = orjson.loads(text)
    except ValueError as broken:
        reason = str(broken)
        raise Stopped("unreadable_changes", Exit.USAGE, path=path, reason=reason) from None
    if not isinstance(changes, dict):
        raise Stopped("unreadable_changes", Exit.USAGE, path=path, reason="[]")
    return changes


def _publish(changes: dict[str, Any], effective_on: date, note: str | None) -> Told:
    from api.policies import PolicyAsk
    from ledger.commands import PublishPolicy
    from ledger.events import PolicyPublished

    asked = checked(PolicyAsk, effective_on=effective_on.isoformat(), changes=changes, note=note)
    with opened() as ledger:
        command = PublishPolicy(
            **stamp(), effective_on=asked.effective_on, changes=asked.changes, note=asked.note
        )
        done = ask(ledger, command)
    event = done.entries[-1].event
    assert isinstance(event, PolicyPublished)  # noqa: S101  (the rule makes nothing else)
    return Told(
        {
            "version": event.version,
            "effective_on": event.effective_on,
            "changes": event.changes,
            "note": event.note,
            "position": done.position,
        }
    )


@verb(
    click.argument("file", type=click.Path(path_type=Path)),
    click.option("--from", "first", required=True, type=Day(), help=explained("首日", "first day")),
    click.option("--to", "last", required=True, type=Day(), help=explained("末日", "last day")),
)
def what_if(file: Path, first: date, last: date) -> Told:
    """Replay services of some dates under the changes in FILE; nothing is written."""
    from api.what_if import WhatIfAsk, told
    from ledger.journal import all_entries
    from ledger.store import last_position
    from ledger.what_if import WhatIf

    span = {"from": first.isoformat(), "to": last.isoformat()}
    asked = checked(WhatIfAsk, changes=read_changes(file), **span)
    replay = WhatIf(asked.changes, asked.first, asked.last)
    with (
        opened_journal() as store,
        store.reading() as connection,
        progress("replaying", last_position(connection)) as shown,
    ):
        for page in all_entries(connection):
            replay.tell(page)
            shown.to(page[-1].position)
    members = [{"member_id": who, **told(one)} for who, one in replay.members.items()]
    total = told(replay.total)
    changed = [member for member in members if member["difference"]]
    columns = ("member_id", "credits", "would_be", "difference")
    return Told({"members": members, "total": total}, [table(columns, changed), fields(total)])


def _json(value: Any) -> Any:
    """TOML's values as JSON has them: its dates as text."""
    match value:
        case dict():
            return {name: _json(inner) for name, inner in value.items()}
        case list():
            return [_json(inner) for inner in value]
        case date() | datetime():
            return value.isoformat()
        case _:
            return value


def _read() -> "Policies":
    from ledger.journal import policies

    with opened_journal() as store, store.reading() as connection:
        return policies(connection)
