"""The one loop: live, rebuilding, replaying, each entry is told to every projection.

A page of entries, the rows they make and the bookmark are one transaction, so a crash loses and
doubles nothing. One process advances at a time; the others find it done and follow.
"""

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeGuard

from sqlalchemy import Connection, Engine, bindparam, insert, select, update
from sqlalchemy.exc import DBAPIError

from ledger import databases, journal, store
from ledger.units import new_id
from projections import (
    careers,
    consents,
    correction_requests,
    directory,
    field_shelves,
    grades,
    journal_lines,
    lots,
    orders,
    passbook,
    periods,
    policies,
    qualifications,
    redemptions,
    relations,
    rewards,
    schema,
    seal,
    service_records,
    shelves,
    tallies,
    trail,
    transfers,
)
from projections.numbered import HELD_MAX
from projections.page import Memory, Page
from projections.papers import issued
from projections.schema import bookmark

log = logging.getLogger("timebank.views")

Projection = Callable[[Page], None]

PROJECTIONS: dict[str, Projection] = {
    "directory": directory.project,
    "consents": consents.project,
    "relations": relations.project,
    "policies": policies.project,
    "grades": grades.project,
    "periods": periods.project,
    "trail": trail.project,
    "journal_lines": journal_lines.project,
    "passbook": passbook.project,
    "qualifications": qualifications.project,  # before the lots, which say where members live
    "lots": lots.project,
    "service_records": service_records.project,
    "correction_requests": correction_requests.project,
    "transfers": transfers.project,
    "rewards": rewards.project,
    "redemptions": redemptions.project,
    "orders": orders.project,
    "careers": careers.project,
    "shelves": shelves.project,
    "field_shelves": field_shelves.project,
    "papers": issued.project,
    "tallies": tallies.project,
    "seal": seal.project,
}
"""The view -> what it makes of a page of entries."""

PAGE = 500
"""Entries in a page: few enough that they stay in the processor's cache until they are rows."""

MANY = 16
"""After taking in so many entries at once there are many writers: more come in a moment."""

REST_SECONDS = 0.1
"""A page of few entries changes as many pages of the database as one of many: 64 at once cost 80
microseconds each, 500 at once 50."""

FIRST_PAUSE_SECONDS = 0.1  # after a database error; doubled until the longest
LONGEST_PAUSE_SECONDS = 10.0
Progress = Callable[[int, int], None]
"""Told after every page: the position reached, and the one to reach."""


class Mark(NamedTuple):
    """Where the views stand: the bookmark's row."""

    shape: str
    build: str
    position: int
    recorded_at: str
    leaf_hash: str


NOWHERE = Mark("", "", 0, "", "")


class _Waiting(NamedTuple):
    position: int
    future: "asyncio.Future[None]"
    loop: asyncio.AbstractEventLoop


class Views:
    """The read tables of one ledger, and the loop that keeps them up to its journal."""

    def __init__(self, opened: store.Store, engine: Engine) -> None:
        self.store = opened
        self.engine = engine
        self._memory = Memory()
        self._mark = NOWHERE
        self._server = ""  # whose journal was read last
        self._advancing = threading.RLock()
        self._waiting: list[_Waiting] = []
        self._changed = threading.Lock()
        self._ending = threading.Event()
        self._hurry = threading.Event()
        self.thread: threading.Thread | None = None  # of `start` or `follow`
        self._wakeup: store.Wakeup | None = None

    @property
    def position(self) -> int:
        """How far the views have read, as far as this process knows."""
        return self._mark.position

    @property
    def standing(self) -> bool:
        """Whether there is something of our shape to look up, as far as this process knows."""
        return self._mark.shape == schema.SHAPE

    # -- reading on ----------------------------------------------------------------------------

    def prepare(self, progress: Progress | None = None) -> None:
        """Have tables of the present shape that continue this journal; build them where not."""
        with self._advancing:
            with databases.reading(self.engine) as connection:
                mark = stored_mark(connection)
            if self._usable(mark):
                self._follow_to(mark)
            else:
                self._build(None, progress, anyway=False)

    def catch_up(self, until: int | None = None, progress: Progress | None = None) -> int:
        """Read on to a position, or to the end; the position reached."""
        with self._advancing:
            if not self._mark.shape:
                self.prepare(progress)
            last = self._last() if progress is not None and until is None else until
            while self._advance(until):
                if progress is not None and last is not None:
                    progress(self.position, last)
        return self.position

    def rebuild(self, until: int | None = None, progress: Progress | None = None) -> int:
        """Build every view anew from the journal; the position reached.

        It is one transaction: readers see the old views until the new ones are complete, and a
        crash leaves the old ones.
        """
        with self._advancing:
            self._build(until, progress, anyway=True)
        return self.position

    def _advance(self, until: int | None) -> bool:
        """Take in the next page; False where nothing was left behind it."""
        server = self._server
        rows = self._read(self._mark.position, until)
        if self._server != server:  # what was read last may never have come to this one
            self._memory.forget()
            self.prepare()
            return True
        if not rows:
            return False
        more = len(rows) == PAGE
        with self._remembering(), databases.writing(self.engine, _tell) as connection:
            row = connection.execute(_MARK).first()
            if row is None or row.shape != schema.SHAPE:
                raise OtherShape
            mark = Mark(*row)
            if mark == self._mark:
                mark = self._take_in(connection, rows, mark)
                self._memory.write(connection)
                self._write_tree(connection)
                connection.execute(_MOVE, mark._asdict())
            else:  # another process went on, or rebuilt
                self._memory.forget()
                more = True
        self._settle(mark)
        return more

    def _build(self, until: int | None, progress: Progress | None, *, anyway: bool) -> None:
        self._memory.forget()
        last = self._last() if until is None else min(until, self._last())
        with (
            _collecting_nothing(),
            self._remembering(),
            databases.writing(self.engine, _tell) as connection,
        ):
            stored = stored_mark(connection)
            if not anyway and self._usable(stored):  # another process was quicker
                self._settle(stored)
                return
            schema.clear(connection)
            mark = Mark(schema.SHAPE, new_id(), 0, "", "")
            while rows := self._read(mark.position, last):
                mark = self._take_in(connection, rows, mark)
                self._memory.write(connection, held=HELD_MAX)
                if progress is not None:
                    progress(mark.position, last)
            self._memory.write(connection)
            self._write_tree(connection)
            schema.create_indexes(connection)
            connection.execute(insert(bookmark).values(id=1, **mark._asdict()))
            schema.put_in_place(connection)
        if not schema.drop_old(self.engine):
            log.info("the views that were replaced are still being read; they go with the next")
        self._settle(mark)

    def _take_in(self, connection: Connection, rows: list[store.Row], mark: Mark) -> Mark:
        """Tell every projection a page; the mark behind it."""
        entries = list(map(journal.to_entry, rows))
        tree = self._memory.tree
        if tree is None:
            tree = self._memory.tree = seal.read_tree(connection)
        leaves = [row.leaf_hash for row in rows]
        page = Page(connection, entries, self._memory, tree, leaves, mark.recorded_at)
        for project in PROJECTIONS.values():
            project(page)
        page.insert()
        said = (entry.event.recorded_at for entry in reversed(entries))
        return mark._replace(
            position=entries[-1].position,
            recorded_at=next(filter(None, said), mark.recorded_at),
            leaf_hash=rows[-1].leaf_hash.hex(),
        )

    def _write_tree(self, connection: Connection) -> None:
        if self._memory.tree is not None:  # some entries were taken in
            seal.write_tree(connection, self._memory.tree)

    def _settle(self, mark: Mark) -> None:
        """Know the new mark, and answer those who waited for it."""
        with self._changed:
            self._mark = mark
            due = [one for one in self._waiting if one.position <= mark.position]
            self._waiting = [one for one in self._waiting if one.position > mark.position]
        for waiting in due:
            if not waiting.loop.is_closed():
                waiting.loop.call_soon_threadsafe(_resolve, waiting.future)

    # -- waiting -------------------------------------------------------------------------------

    async def wait_for(self, position: int, seconds: float) -> bool:
        """Whether the views have read a position within so many seconds.

        Where no thread of this process reads on, it is read on here once.
        """
        if position <= self.position:
            return True
        if self.thread is None:
            await asyncio.to_thread(self.catch_up)
            return position <= self.position
        loop = asyncio.get_running_loop()
        waiting = _Waiting(position, loop.create_future(), loop)
        with self._changed:
            if position <= self.position:
                return True
            self._waiting.append(waiting)
        self._hurry.set()
        try:
            await asyncio.wait_for(waiting.future, seconds)
        except TimeoutError:
            return False
        finally:
            with self._changed:
                self._waiting = [one for one in self._waiting if one is not waiting]
        return True

    # -- the thread ----------------------------------------------------------------------------

    def start(self) -> None:
        """Read on whenever something is committed, in a thread, until `close`."""
        self.prepare()
        self._run_in_thread(self.store.wakeup, self._read_on)

    def follow(self) -> None:
        """Know how far another process has read on, in a thread, until `close`."""
        self._look()
        self._run_in_thread(self._wakeup_of_views, self._look)

    def close(self) -> None:
        """End the thread after the page under way."""
        self._ending.set()
        self._hurry.set()
        wakeup = self._wakeup
        if wakeup is not None:
            wakeup.close()
        if self.thread is not None:
            self.thread.join()
            self.thread = None

    def _run_in_thread(self, wakeup: Callable[[], store.Wakeup], step: Callable[[], None]) -> None:
        self.thread = threading.Thread(
            target=self._run, args=(wakeup, step), name="views", daemon=True
        )
        self.thread.start()

    def _run(self, make_wakeup: Callable[[], store.Wakeup], step: Callable[[], None]) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._ending.is_set():
            try:
                self._wakeup = wakeup = make_wakeup()
                try:
                    while not self._ending.is_set():
                        step()
                        pause = FIRST_PAUSE_SECONDS
                        if not wakeup.wait():
                            return  # the store was closed, or these views are
                finally:
                    wakeup.close()
            except DBAPIError as error:
                log.warning(
                    "views stand at %s, again in %s s: %s", self.position, pause, error.orig
                )
                self._ending.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            except OtherShape:
                log.error("another version has rebuilt the views in its shape: start this one anew")
                self._settle(self._mark._replace(shape=""))
                return
            except BaseException:
                log.exception("views stand still at %s", self.position)
                raise

    def _read_on(self) -> None:
        before = self.position
        self.catch_up()
        if self.position - before >= MANY:
            self._rest()

    def _look(self) -> None:
        """Know how far the views were read by whoever it was."""
        with self._advancing:
            with databases.reading(self.engine) as connection:
                mark = stored_mark(connection)
            self._follow_to(mark or NOWHERE)

    def _follow_to(self, mark: Mark) -> None:
        """Know a mark that somebody else may have set: what is remembered holds at ours alone."""
        if mark != self._mark:
            self._memory.forget()
        self._settle(mark)

    def _wakeup_of_views(self) -> store.Wakeup:
        return store.Wakeup(self.engine, databases.schema_name(self.engine), set())

    def _rest(self) -> None:
        """Let a few more commits come together, unless somebody waits to see the last."""
        self._hurry.clear()
        if not self._waiting:
            self._hurry.wait(REST_SECONDS)

    # -- the stores ----------------------------------------------------------------------------

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        """What was remembered in a transaction that comes to nothing is forgotten."""
        try:
            yield
        except BaseException:
            self._memory.forget()
            raise

    def _read(self, after: int, until: int | None) -> list[store.Row]:
        with self.store.reading() as connection:
            self._server = databases.server_of(connection)
            return store.read(connection, after, PAGE, until)

    def _last(self) -> int:
        with self.store.reading() as connection:
            return store.last_position(connection)

    def _usable(self, mark: Mark | None) -> TypeGuard[Mark]:
        """Whether the views have our shape, and what they read last still stands in the journal."""
        if mark is None or mark.shape != schema.SHAPE:
            return False
        if not mark.position:
            return True
        with self.store.reading() as connection:
            rows = store.read_positions(connection, [mark.position])
        return bool(rows) and rows[0].leaf_hash.hex() == mark.leaf_hash


class OtherShape(Exception):
    """Another version of the program has rebuilt the views in its own shape meanwhile."""


def stored_mark(connection: Connection) -> Mark | None:
    """Where the views stand, as this transaction sees it; None where there are none."""
    if not schema.has_bookmark(connection):
        return None
    row = connection.execute(_MARK).first()
    return None if row is None else Mark(*row)


def _tell(connection: Connection) -> None:
    """Let those who follow the views in other processes know; on SQLite they see it by themselves.

    See `Store.poke` for why it is no part of the transaction.
    """
    if connection.dialect.name == "postgresql":
        databases.notify(connection, databases.schema_name(connection.engine))


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():  # it may have waited long enough
        future.set_result(None)


@contextmanager
def _collecting_nothing() -> Iterator[None]:
    """No garbage collection: pages make no cycles, and the search for them takes its time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_MARK = select(
    bookmark.c.shape,
    bookmark.c.build,
    bookmark.c.position,
    bookmark.c.recorded_at,
    bookmark.c.leaf_hash,
)
_MOVE = update(bookmark).values({name: bindparam(name) for name in Mark._fields})
