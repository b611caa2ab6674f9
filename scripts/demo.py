"""`timebank demo`: a district that lives, seeded once in a folder of its own, and served."""

import fcntl
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from scripts.door import is_sqlite, now, place, settings, sqlite_file
from scripts.init import make_secrets
from scripts.printing import (
    Exit,
    Stopped,
    Told,
    fields,
    note,
    print_json,
    print_lines,
    print_told,
    progress,
    table,
    verb,
)
from scripts.sayings import explained, said
from scripts.serve import HOST, PORT, serve_ledger

if TYPE_CHECKING:
    from ledger.keys import NewKey
    from ledger.settings import Settings

FOLDER = Path(".demo")
NOTE = "demo.json"
SIZES = ("small", "district")
COUNTED = ("members", "records", "redemptions")


@verb(
    click.option("--size", type=click.Choice(SIZES), default="small", show_default=True),
    click.option(
        "--seed",
        type=int,
        default=1,
        show_default=True,
        help=explained("随机种子", "decides who lives there and what happens"),
    ),
    click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False),
        default=FOLDER,
        show_default=True,
        help=explained("演示数据所在目录", "where the demo lies"),
    ),
    click.option(
        "--seed-only", is_flag=True, help=explained("只登记数据，不提供服务", "do not serve")
    ),
    HOST,
    PORT,
)
def demo(
    size: str,
    seed: int,
    folder: Path,
    seed_only: bool,
    host: str | None,
    port: int | None,
    as_json: bool,
) -> None:
    """Seed a district through the real commands, print address and keys, and serve it.

    A second start serves what is there.
    """
    with alone(folder):
        given = demo_settings(folder, host=host, port=port)
        made = kept(folder, given, size, seed)
        if made is None:
            made = seed_demo(folder, given, size, seed)
        else:
            note(said("demo_reused", where=place(given)))
        if seed_only:
            print_told(Told(made, lines(made)), as_json=as_json)
            return

        def announce(address: str) -> None:
            if as_json:
                print_json({"address": address, **made})
            else:
                print_lines([*lines(made), said("serving", address=address)])

        serve_ledger(given, announce)


def demo_settings(folder: Path, *, host: str | None, port: int | None) -> "Settings":
    """The settings with the demo's folder in them, and a port that is free."""
    given = settings(host=host, port=port)
    source = {shown.name: shown.source for shown in given.shown()}
    flags: dict[str, Any] = {"host": host, "port": port}
    if source["database_url"] == "default":
        flags["database_url"] = f"sqlite:///{folder / 'timebank.db'}"
    if source["keys_file"] == "default":
        flags["keys_file"] = folder / "timebank-keys.json"
    if source["port"] == "default" and not is_free(given.host, given.port):
        flags["port"] = 0
    return settings(**flags)


def kept(folder: Path, given: "Settings", size: str, seed: int) -> dict[str, Any] | None:
    """What an earlier start has made here; None where there is nothing, or half of it."""
    from ledger.opening import is_made

    try:
        made: dict[str, Any] = orjson.loads((folder / NOTE).read_bytes())
    except FileNotFoundError:
        if is_made(given):
            raise Stopped("not_a_demo", Exit.REFUSED, where=place(given)) from None
        return None
    if made["database_url"] != place(given):
        raise Stopped("not_a_demo", Exit.REFUSED, where=place(given))
    if not made["finished"]:
        clear(folder, given)
        return None
    if not is_made(given):
        return None
    if (made["size"], made["seed"]) != (size, seed):
        raise Stopped(
            "other_demo", Exit.REFUSED, where=folder, size=made["size"], seed=made["seed"]
        )
    return made


def seed_demo(folder: Path, given: "Settings", size: str, seed: int) -> dict[str, Any]:
    """Make the ledger and its past; the note of it is finished last."""
    from ledger.opening import make_ledger
    from scripts.demo_past import SIZES as MEASURES
    from scripts.demo_past import live

    made: dict[str, Any] = {
        "database_url": place(given),
        "size": size,
        "seed": seed,
        "finished": False,
    }
    write_note(folder, made)
    make_secrets(database_url=given.database_url, keys_file=given.keys_file)
    make_ledger(given)
    measures = MEASURES[size]
    with progress("seeding", measures.records) as shown:
        lived = live(given, measures, seed, now(), shown.to)
    counts = lived.counts
    made |= {
        "finished": True,
        "members": counts["members"],
        "records": {
            "posted": counts["posted"],
            "verified": counts["HoursVerified"]
            + counts["SubmittedHoursVerified"]
            - counts["HoursReversed"],
            "reversed": counts["HoursReversed"],
            "rejected": counts["HoursRejected"],
            "waiting": counts["HoursSubmitted"]
            - counts["SubmittedHoursVerified"]
            - counts["HoursRejected"],
        },
        "redemptions": {
            "reserved": counts["RedemptionReserved"],
            "fulfilled": counts["RedemptionFulfilled"],
            "cancelled": counts["RedemptionCancelled"],
        },
        "statement": lived.statement,
        "keys": [shown_key(key) for key in lived.keys],
    }
    write_note(folder, made)
    return made


def lines(made: dict[str, Any]) -> list[Any]:
    """What a visitor needs: how much there is, and keys to come in with."""
    seen = {name: made[name] for name in ("database_url", "size", "seed", *COUNTED)}
    keys = table(("role", "actor", "organisation", "key"), made["keys"])
    statement = made.get("statement")  # a demo made by an older program has none
    path = "/verify/{number}?code={code}".format(**statement) if statement else ""
    return [fields(seen), "", keys, "", *([said("demo_statement", path=path)] if path else [])]


def shown_key(made: "NewKey") -> dict[str, Any]:
    """A key with its text: of a demo they are no secret from who may read its folder."""
    return {
        "role": made.key.role,
        "actor": made.key.actor,
        "organisation": made.key.organisation,
        "key": made.text,
    }


def write_note(folder: Path, made: dict[str, Any]) -> None:
    """What is here, for the next start; readable by its owner alone, since keys are in it."""
    draft = folder / f"{NOTE}.new"
    draft.touch(mode=0o600)
    draft.write_bytes(orjson.dumps(made, option=orjson.OPT_INDENT_2))
    draft.replace(folder / NOTE)


def clear(folder: Path, given: "Settings") -> None:
    """Take away what a start that was interrupted has left; only files that a demo has made."""
    if not is_sqlite(given):
        raise Stopped("not_a_demo", Exit.REFUSED, where=place(given))
    database = sqlite_file(given)
    for store in ("", "-views", "-vault"):
        file = database.with_name(f"{database.stem}{store}{database.suffix}")
        for beside in ("", "-wal", "-shm"):
            file.with_name(file.name + beside).unlink(missing_ok=True)
    (folder / NOTE).unlink()


def is_free(host: str, port: int) -> bool:
    """Can a server listen there now?"""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError:
            return False
    return True


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """The demo's folder, for one start at a time; what is in it is nobody's to check in."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="ascii")
    with (folder / "demo.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Stopped("served_already", Exit.REFUSED, pid="?", where=folder) from None
        yield
