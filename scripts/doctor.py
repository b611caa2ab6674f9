"""`timebank doctor`: looks at whatever around the ledger may be wrong, one check at a time."""

import asyncio
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scripts.complaints import complaint
from scripts.door import is_sqlite, now, opened_journal, opened_views, settings, sqlite_file
from scripts.findings import Finding, ok, warning, wrong
from scripts.printing import Exit, Told, table, verb
from scripts.sayings import explained
from scripts.surroundings import (
    backups,
    checkpoint_file,
    connections,
    files,
    server,
    writable,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ledger.settings import Settings
    from ledger.vault import Vault
    from projections.views import Mark, Views

LOCK = Path(__file__).with_name("requirements.lock")
PENDING_FOR = timedelta(hours=1)  # a registration takes milliseconds
CLOCK_AHEAD_MAX = timedelta(seconds=5)
FREE_BYTES_MIN = 1 << 30
FREE_BYTES_LEAST = 1 << 26  # below this the next hours may be the last
LAG_ENTRIES_MAX = 1_000
UNSIGNED_FOR = timedelta(minutes=10)  # or ten times what the settings ask for


@verb(
    click.option(
        "--backups",
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        help=explained("备份所在目录", "a folder in which the backups lie"),
    )
)
def doctor(folder: Path | None) -> Told:
    """Go through every check; 5 where one is wrong, 6 where a store cannot be reached."""
    given = settings()
    checks = dict(CHECKS)
    if folder is not None:
        checks["backups"] = partial(backups, folder)
    found = {name: _looked(check, given) for name, check in checks.items()}
    rows = [
        {"check": name, "status": finding.status, "detail": finding.detail}
        for name, finding in found.items()
    ]
    worst = max((finding.exit_code for finding in found.values()), default=Exit.OK)
    return Told(
        {"ok": worst == Exit.OK, "checks": rows},
        [table(("check", "status", "detail"), rows)],
        worst,
    )


def _looked(check: Callable[["Settings"], Finding], given: "Settings") -> Finding:
    """A check that cannot be made is wrong itself."""
    try:
        return check(given)
    except Exception as error:
        heard = complaint(error)
        if heard is not None:
            code = Exit.UNAVAILABLE if heard.exit_code == Exit.UNAVAILABLE else Exit.WRONG
            return Finding("wrong", heard.text, code)
        raise


# --- the program ---------------------------------------------------------------------------------


def python(given: "Settings") -> Finding:
    """CPython, new enough."""
    running = f"{platform.python_implementation()} {platform.python_version()}"
    fits = sys.version_info >= (3, 11) and platform.python_implementation() == "CPython"
    return ok("doctor_python", running=running) if fits else wrong("doctor_old", running=running)


def packages(given: "Settings") -> Finding:
    """The packages are those that the lock file names, as far as it is here."""
    if not LOCK.exists():
        return ok("doctor_no_lock")
    pins = re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)([^\\\n]*)", LOCK.read_text(), re.MULTILINE)
    others: list[str] = []
    for name, pinned, marker in pins:
        installed = _installed(name)
        if installed != pinned and not (installed is None and ";" in marker):
            others.append(f"{name} {installed or '-'} ({pinned})")
    if others:
        return warning("doctor_other_packages", packages=", ".join(others))
    return ok("doctor_packages", count=len(pins))


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def settings_read(given: "Settings") -> Finding:
    """Nothing in the environment looks like a setting and is none."""
    from ledger.settings import unread_environment

    unread = [name for name in unread_environment() if name != "TIMEBANK_LANG"]
    if unread:
        return warning("unread_setting", name=", ".join(unread))
    return ok("doctor_settings", count=len(given.shown()))


def time_zones(given: "Settings") -> Finding:
    """The table of time zones is there."""
    from zoneinfo import available_timezones

    count = len(available_timezones())
    return ok("doctor_zones", count=count) if count > 100 else wrong("doctor_no_zones")


# --- the stores ----------------------------------------------------------------------------------


def secrets(given: "Settings") -> Finding:
    """Both secrets are given, or lie in a file that nobody else may read."""
    from ledger.keys_file import load_secrets

    load_secrets(given)
    return ok("doctor_secrets", path=given.keys_file)


def journal(given: "Settings") -> Finding:
    """The journal's schema is the newest, its triggers stand."""
    from ledger.migrations import check, current
    from ledger.store import last_position

    with opened_journal(given, any_schema=True) as store:
        if faults := check(store.engine, "journal"):
            return wrong("doctor_faults", faults="; ".join(faults))
        with store.reading() as connection:
            last = last_position(connection)
        revision = current(store.engine, "journal")
    return ok("doctor_journal", revision=revision, position=last)


def durability(given: "Settings") -> Finding:
    """What is committed outlives a power cut."""
    with opened_journal(given, any_schema=True) as store:
        if is_sqlite(given):
            wanted = {"journal_mode": "wal", "synchronous": 2}
            held = _asked(store.engine, {name: f"PRAGMA {name}" for name in wanted})
        else:
            wanted = {"fsync": "on", "full_page_writes": "on"}
            held = _asked(store.engine, {name: f"SHOW {name}" for name in wanted})
            held["synchronous_commit"] = _asked(store.engine, {"is": "SHOW synchronous_commit"})[
                "is"
            ]
    shown = ", ".join(f"{name}={value}" for name, value in held.items())
    safe = wanted.items() <= held.items() and held.get("synchronous_commit") != "off"
    return (ok if safe else wrong)("doctor_durable" if safe else "doctor_not_durable", held=shown)


def vault(given: "Settings") -> Finding:
    """The vault's schema is the newest, and the vault key opens it."""
    from ledger.migrations import check, current

    with _vault(given) as (engine, _):
        if faults := check(engine, "vault"):
            return wrong("doctor_faults", faults="; ".join(faults))
        return ok("doctor_vault", revision=current(engine, "vault"))


def orphans(given: "Settings") -> Finding:
    """Everybody in the vault is a member, none half registered, and erased where it is recorded."""
    from ledger.erasures import everyone

    amiss: dict[str, list[str]] = {}
    count = 0
    with _vault(given) as (_, held), opened_journal(given, any_schema=True) as store:
        pending = held.pending(now() - PENDING_FOR)
        for who in everyone(store, held):
            count += 1
            if who.is_held_again:
                amiss.setdefault("doctor_held_again", []).append(who.known.member_id)
            elif who.is_unrecorded:
                amiss.setdefault("doctor_erasure_unrecorded", []).append(who.known.member_id)
            elif who.known.status == "active" and not who.is_member:
                amiss.setdefault("doctor_strangers", []).append(who.known.member_id)
    for code, ids in amiss.items():
        return wrong(code, count=len(ids), first=ids[0])
    if pending:
        return warning("doctor_pending", count=len(pending), first=pending[0].member_id)
    return ok("doctor_people", count=count)


def views(given: "Settings") -> Finding:
    """The views are of the present shape and not far behind."""
    from ledger.store import last_position

    with opened_views(given) as opened:
        with opened.store.reading() as connection:
            last = last_position(connection)
        mark = _mark_of_this_shape(opened)
    if mark is None:
        return warning("doctor_views_old")
    behind = last - mark.position
    if behind > LAG_ENTRIES_MAX:
        return warning("doctor_views_behind", behind=behind)
    return ok("doctor_views", position=mark.position, behind=behind)


def transparency_log(given: "Settings") -> Finding:
    """The log is the one that was signed last, by the key that is at hand."""
    from ledger.checkpoints import last
    from ledger.journal import entries_after
    from ledger.keys_file import load_secrets
    from ledger.store import last_position
    from ledger.units import instant
    from projections.signing import Signer

    with opened_views(given) as opened:
        if _mark_of_this_shape(opened) is None:
            return warning("doctor_views_old")
        Signer(opened, given, load_secrets(given)).check()
        with opened.store.reading() as connection:
            kept = last(connection)
            size = kept.size if kept else 0
            unsigned = last_position(connection) - size
            oldest = entries_after(connection, size, 1)
    if kept is None:
        return warning("doctor_no_checkpoint")
    every = timedelta(seconds=given.checkpoint_seconds)
    waiting_since = instant(oldest[0].event.recorded_at) if oldest else now()
    is_late = now() - waiting_since > max(UNSIGNED_FOR, 10 * every)
    told = {"size": kept.size, "signed_at": kept.signed_at, "unsigned": unsigned}
    if unsigned and every and is_late:
        return warning("doctor_log_unsigned", **told)
    return ok("doctor_log", **told)


def clock(given: "Settings") -> Finding:
    """This machine's clock is not behind what was recorded, nor away from the database's."""
    from ledger.journal import entries_after
    from ledger.store import last_position
    from ledger.units import instant

    with opened_journal(given, any_schema=True) as store:
        with store.reading() as connection:
            newest = entries_after(connection, last_position(connection) - 1, 1)
        theirs = now() if is_sqlite(given) else _server_clock(store.engine)
    away = abs(theirs - now())
    if away > CLOCK_AHEAD_MAX:
        return warning("doctor_clocks_differ", seconds=int(away.total_seconds()))
    recorded_at = newest[0].event.recorded_at if newest else ""
    if recorded_at and instant(recorded_at) - now() > CLOCK_AHEAD_MAX:
        return warning("doctor_clock_behind", recorded_at=recorded_at)
    return ok("doctor_clock", now=now().isoformat(timespec="seconds"))


def disk(given: "Settings") -> Finding:
    """There is room where the files lie."""
    folder = sqlite_file(given).resolve().parent if is_sqlite(given) else Path.cwd()
    free = shutil.disk_usage(folder).free
    room = ok if free >= FREE_BYTES_MIN else warning if free >= FREE_BYTES_LEAST else wrong
    return room("doctor_disk", folder=folder, free=free // (1 << 20))


def address(given: "Settings") -> Finding:
    """The address in papers is one that the world can reach, as far as the settings tell."""
    if given.public_url is None:
        return warning("doctor_no_public_url", address=given.address)
    return ok("doctor_address", address=given.address)


def tokens(given: "Settings") -> Finding:
    """The issuer of tokens has keys that verify them, where there is an issuer."""
    from api.token_keys import KeysUnavailable, fetch_keys

    if given.oidc_issuer is None:
        return ok("doctor_no_tokens")
    try:
        found = asyncio.run(fetch_keys(given))
    except KeysUnavailable as away:
        return wrong("doctor_no_token_keys", issuer=given.oidc_issuer, reason=away)
    return ok(
        "doctor_tokens",
        issuer=given.oidc_issuer,
        count=len(found),
        algorithm=given.oidc_algorithm,
    )


CHECKS: dict[str, Callable[["Settings"], Finding]] = {
    "python": python,
    "packages": packages,
    "settings": settings_read,
    "time_zones": time_zones,
    "secrets": secrets,
    "files": files,
    "journal": journal,
    "writable": writable,
    "server": server,
    "connections": connections,
    "durability": durability,
    "vault": vault,
    "orphans": orphans,
    "views": views,
    "log": transparency_log,
    "checkpoint_file": checkpoint_file,
    "clock": clock,
    "disk": disk,
    "address": address,
    "tokens": tokens,
}


# --- asking --------------------------------------------------------------------------------------


def _mark_of_this_shape(opened: "Views") -> "Mark | None":
    from projections import schema
    from projections.views import stored_mark

    with opened.engine.connect() as connection:
        mark = stored_mark(connection)
    return mark if mark is not None and mark.shape == schema.SHAPE else None


@contextmanager
def _vault(given: "Settings") -> Iterator[tuple["Engine", "Vault"]]:
    from ledger.keys_file import load_secrets
    from ledger.opening import open_vault, open_vault_engine, refuse_no_vault

    with opened_journal(given, any_schema=True):  # opening alone would make a file
        refuse_no_vault(given)
        engine = open_vault_engine(given)
        try:
            yield engine, open_vault(given, load_secrets(given), engine)
        finally:
            engine.dispose()


def _asked(engine: "Engine", questions: dict[str, str]) -> dict[str, object]:
    with engine.connect() as connection:
        return {
            name: connection.exec_driver_sql(question).scalar_one()
            for name, question in questions.items()
        }


def _server_clock(engine: "Engine") -> datetime:
    with engine.connect() as connection:
        said_so: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return said_so
