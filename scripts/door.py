"""Where the command line comes in: its settings, the ledger they open, and what it asks there."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ledger.units import Refused, new_id
from scripts.printing import Exit, Stopped

if TYPE_CHECKING:
    from pydantic import BaseModel
    from sqlalchemy import Connection

    from ledger.commands import Command, Stamp
    from ledger.desk import Done, Outcome
    from ledger.opening import Ledger
    from ledger.settings import Settings
    from ledger.store import Store
    from projections.views import Views

Asked = TypeVar("Asked", bound="BaseModel")

ACTOR = "cli"


class Day(click.ParamType[date]):
    """An ISO 8601 date."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The date; usage, where it is none."""
        if isinstance(value, date):
            return value
        if len(value) == len("2026-03-06"):
            try:
                return date.fromisoformat(value)
            except ValueError:
                pass
        raise Stopped("not_a_date", Exit.USAGE, name=param.opts[0] if param else value)


class AsOf(click.ParamType[date | datetime]):
    """An ISO 8601 date, or an RFC 3339 instant with its offset."""

    name = "date|instant"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> date | datetime:
        """The date or the instant; usage, where it is neither."""
        from pydantic import TypeAdapter, ValidationError

        from api.asks import Instant

        if isinstance(value, date):
            return value
        if "T" not in value.upper():
            return Day().convert(value, param, ctx)
        try:
            found: datetime = TypeAdapter(Instant).validate_python(value)
        except ValidationError:
            name = param.opts[0] if param else value
            raise Stopped("not_an_instant", Exit.USAGE, name=name) from None
        return found


# --- settings ------------------------------------------------------------------------------------


def settings(**flags: object) -> "Settings":
    """The settings as they are now; what was typed before the verb goes first."""
    from ledger.settings import Settings

    context = click.get_current_context(silent=True)
    typed = (context.find_root().obj or {}) if context is not None else {}
    return Settings.load(**{**typed, **flags})


def place(given: "Settings") -> str:
    """Where a ledger lies, without its password."""
    (address,) = (shown.value for shown in given.shown() if shown.name == "database_url")
    return str(address) if is_sqlite(given) else f"{address} ({given.ledger})"


def is_sqlite(given: "Settings") -> bool:
    """Does the ledger lie in SQLite files?"""
    return given.database_url.startswith("sqlite")


def sqlite_file(given: "Settings") -> Path:
    """The journal's file."""
    from sqlalchemy.engine import make_url

    return Path(make_url(given.database_url).database or "")


# --- opening -------------------------------------------------------------------------------------


@contextmanager
def opened(given: "Settings | None" = None) -> Iterator["Ledger"]:
    """The open house, as a whole: with its secrets, its vault and its desk."""
    from ledger.opening import NotMade, open_ledger

    given = given or settings()
    try:
        ledger = open_ledger(given)
    except NotMade:
        raise _not_made(given) from None
    with ledger:
        yield ledger


@contextmanager
def opened_journal(
    given: "Settings | None" = None, *, any_schema: bool = False
) -> Iterator["Store"]:
    """The journal alone: what needs no secret and asks nothing, also works on a mere copy."""
    from ledger.opening import is_made, refuse_other_schema
    from ledger.store import Store

    given = given or settings()
    if not is_made(given):
        raise _not_made(given)
    store = Store(given.database_url, given.ledger)
    try:
        if not any_schema:
            refuse_other_schema(store.engine)
        yield store
    finally:
        store.close()


@contextmanager
def opened_views(given: "Settings | None" = None, *, any_schema: bool = False) -> Iterator["Views"]:
    """The journal with its views, neither of them read on."""
    from ledger.databases import open_engine, sibling_url
    from ledger.opening import make_file
    from projections.views import Views

    given = given or settings()
    with opened_journal(given, any_schema=any_schema) as store:
        url = sibling_url(given.database_url, "views")
        make_file(url)
        engine = open_engine(url, f"{given.ledger}_views", durable=False)
        try:
            yield Views(store, engine)
        finally:
            engine.dispose()


def must_stand(connection: "Connection", stream: str, pointer: str, what: str) -> None:
    """Pass where the journal has such a stream."""
    from ledger.journal import streams

    if not streams(connection, [stream]):
        raise Refused("not_found", pointer=pointer, what=what)


def read_file(path: Path) -> bytes:
    """A file that was named on the command line."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Stopped("no_such_file", Exit.USAGE, name="FILE", path=path) from None
    except OSError as error:
        raise Stopped("unreadable_file", Exit.USAGE, path=path, reason=error.strerror) from None


def _not_made(given: "Settings") -> Stopped:
    return Stopped("not_made", Exit.UNAVAILABLE, where=place(given))


# --- asking --------------------------------------------------------------------------------------


def stamp() -> "Stamp":
    """Who asks: whoever sits at the command line, which is an administrator's place."""
    return {
        "actor": ACTOR,
        "actor_name": ACTOR,
        "actor_member": None,
        "by_admin": True,
        "correlation_id": new_id(),
    }


def checked(model: type[Asked], **values: object) -> Asked:
    """The same ask that HTTP takes as a body; Invalid says everything that is wrong with it."""
    from pydantic import ValidationError

    from api.problems import Invalid, errors_of

    try:
        return model.model_validate({name: v for name, v in values.items() if v is not None})
    except ValidationError as error:
        raise Invalid(errors_of(error)) from None


def ask(ledger: "Ledger", command: "Command") -> "Done":
    """What the desk decided, durable by now; Refused or Busy."""
    from ledger.desk import Answer, Done, Job

    heard: list[Done | Refused] = []

    def answer(outcome: "Outcome") -> Answer:
        heard.extend(outcome.results)
        return Answer(200, b"")

    ledger.desk.ask_now(Job([command], answer))
    (done,) = heard
    assert isinstance(done, Done)  # noqa: S101  (a refusal was raised)
    return done


def now() -> datetime:
    """The clock at the door."""
    return datetime.now(UTC)
