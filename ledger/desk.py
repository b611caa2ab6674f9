"""The desk: where commands come in, are decided together and made durable before any answer.

One committer thread takes all jobs that wait, opens one transaction as the only writer of the
journal (across processes), folds what others wrote meanwhile, decides each command by its rule,
writes all facts with the kept answers, commits, and only then answers everybody.
"""

import asyncio
import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, delete
from sqlalchemy.exc import DBAPIError

from ledger import databases, journal, keys, store
from ledger.commands import Command, Keys
from ledger.events import Entry, Event, PostedContent, RecordEvent, encode
from ledger.rules import RULEBOOK, STATES, State
from ledger.rules.service_records import Record
from ledger.rules.shared_balances import SharedBalance, moved
from ledger.rules.statements import Services
from ledger.units import Refused, instant, recorded_text

log = logging.getLogger("timebank.desk")

BATCH_JOBS_MAX = 1_000
WAITING_JOBS_MAX = 4_096
CACHED_STATES_MAX = 50_000
STREAMS_AT_ONCE = 64  # read into memory: each may hold decades
CATCH_UP_ENTRIES_MAX = 20_000  # further behind than this, forgetting is quicker than folding
PRUNE_SECONDS = 600
FACT_BYTES_MAX = 65_000  # what is left of an entry's 65 535 bytes beside its stream and type
FOLDED_ANEW = ("record", "services")  # states that no cache holds
ATTEMPTS = 3  # of a batch whose connection broke; nothing of it was written
ANSWER_SECONDS = 30.0  # then whoever asked is told Busy
END_SECONDS = 10.0  # for what is under way when the desk closes

Mode = Literal["one", "each", "all"]


class Busy(Exception):
    """The desk takes nothing now, or nobody knows yet what became of what it took.

    Its queue is full, it is closing, the database is away, or does not answer in time.
    """


class Once(NamedTuple):
    """An idempotency key in its scope, and the hash of the request that it stands for."""

    scope: str
    key: str
    fingerprint: bytes


class Answer(NamedTuple):
    """What the asker gets: an HTTP status and a body; `replayed` where it was kept from before."""

    status: int
    body: bytes
    replayed: bool = False


@dataclass(slots=True)
class Done:
    """One command decided: its facts (none where it was said before), and the states after them."""

    command: Command
    entries: list[Entry]
    states: dict[str, Any]

    @property
    def position(self) -> int | None:
        """The position of the command's last entry, if it made one."""
        return self.entries[-1].position if self.entries else None


@dataclass(slots=True)
class Outcome:
    """What became of a job, in the order of its commands."""

    results: list[Done | Refused]
    dry_run: bool
    written: bool  # False for a dry run, and where `all` met a refusal

    @property
    def position(self) -> int | None:
        """The position of the job's last entry, if it made one."""
        found = [r.position for r in self.results if isinstance(r, Done) and r.position]
        return found[-1] if found and self.written else None


@dataclass(slots=True)
class Job:
    """Commands to be decided in one transaction, and how to word the answer.

    `one`: a refusal is raised. `each`: every command stands for itself. `all`: all or none.
    """

    commands: Sequence[Command]
    answer: Callable[[Outcome], Answer]
    mode: Mode = "one"
    once: Once | None = None
    dry_run: bool = False
    spoilt: bool = False  # something that belongs to it was refused at the door: `all` is none


_Asked = tuple[Command, Keys]
"""A command, and the keys that it relies on."""


@dataclass(slots=True)
class _Waiting:
    job: Job
    future: "Future[Answer] | asyncio.Future[Answer]"
    loop: asyncio.AbstractEventLoop | None
    since: float  # by the monotonic clock
    given_up: bool = False  # it is not begun any more

    def give_up(self) -> None:
        """Tell the asker Busy; in the asker's loop."""
        self.given_up = True
        if not self.future.done():
            self.future.set_exception(Busy())


@dataclass(slots=True)
class _Held:
    """A cached state and the version of its stream that it has read to."""

    state: State
    version: int = 0


@dataclass(slots=True)
class _Batch:
    """What one transaction has decided so far and not yet written."""

    connection: Connection
    at: datetime
    after: int  # the last position before the batch
    recorded_at: str
    entries: list[Entry] = field(default_factory=list)
    rows: list[store.NewRow] = field(default_factory=list)  # the entries, spelled
    answers: dict[tuple[str, str], tuple[Once, Answer]] = field(default_factory=dict)
    kept: dict[tuple[str, str], tuple[bytes, Answer]] = field(default_factory=dict)
    receipts: dict[tuple[str, str], str] = field(default_factory=dict)
    records: dict[str, list[Entry]] = field(default_factory=dict)

    @property
    def next_position(self) -> int:
        return self.after + len(self.entries) + 1


class Committer:
    """Decides batches of jobs and makes them durable; one thread at a time."""

    def __init__(
        self, opened: store.Store, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = opened
        self.clock = clock
        self._cache: OrderedDict[str, _Held] = OrderedDict()
        self._server = ""  # that the cache was read from
        self._read_to = 0
        self._last_recorded = datetime.min.replace(tzinfo=UTC)
        self._prune_after = 0.0
        self.retries = 0  # batches that were decided again

    def commit(self, jobs: Sequence[Job]) -> list[Answer | BaseException]:
        """Decide and write the jobs in one transaction; an answer or what to raise, for each.

        Nothing is returned before the commit is durable. Raises Busy where the database is away.
        """
        for attempt in range(ATTEMPTS):
            batch: _Batch | None = None
            leaves: list[bytes] = []
            try:
                with self._store.writing() as connection:
                    batch = self._open(connection)
                    answers = self._decide_all(batch, jobs)
                    leaves = self._write(batch)
            except DBAPIError as error:
                self._forget_all()
                if batch is None or not self._stands(batch, leaves):
                    self.retries += 1
                    log.warning("batch not written, attempt %s: %s", attempt + 1, type(error.orig))
                    continue
            except BaseException:
                self._forget_all()
                raise
            if batch.entries:
                self._settle(batch)
            return answers
        raise Busy

    # -- one transaction ---------------------------------------------------------------------

    def _open(self, connection: Connection) -> _Batch:
        """Fold what others wrote since, so that decisions are exact with many processes."""
        last = store.last_position(connection)
        server = databases.server_of(connection)
        if (
            server != self._server  # it may never have had what the one before had at last
            or last - self._read_to > CATCH_UP_ENTRIES_MAX
            or last < self._read_to
        ):
            self._forget_all()
            self._server = server
        if not self._cache:
            self._read_to = max(0, last - 1)  # nothing to keep up to date but the last instant
        for page in journal.all_entries(connection, self._read_to, last):
            for entry in page:
                held = self._cache.get(entry.stream)
                if held is not None:
                    held.state.apply(entry.event, entry.position)
                    held.version = entry.version
                self._let_hear(entry)
                if entry.event.recorded_at:
                    self._last_recorded = instant(entry.event.recorded_at)
        self._read_to = last
        at = max(self.clock(), self._last_recorded)
        return _Batch(connection, at, last, recorded_text(at))

    def _decide_all(self, batch: _Batch, jobs: Sequence[Job]) -> list[Answer | BaseException]:
        asked = [[(command, command.relies_on()) for command in job.commands] for job in jobs]
        self._look_up(batch, jobs, asked)
        answers: list[Answer | BaseException] = []
        for job, commands in zip(jobs, asked, strict=True):
            before = len(batch.entries)
            try:
                answers.append(self._decide(batch, job, commands))
            except DBAPIError:
                raise  # the transaction is broken, and so is the batch
            except Exception as no:  # a refusal or a bug; the other jobs stand all the same
                self._undo(batch, before)
                answers.append(no)
        return answers

    def _decide(self, batch: _Batch, job: Job, asked: list[_Asked]) -> Answer:
        if job.once is not None:
            place = (job.once.scope, job.once.key)
            before = batch.kept.get(place)
            if before is not None:
                fingerprint, answer = before
                if fingerprint != job.once.fingerprint:
                    raise Refused("idempotency_key_reused")
                return answer._replace(replayed=True)
        mark = len(batch.entries)
        results: list[Done | Refused] = []
        for command, relies_on in asked:
            try:
                results.append(self._apply(batch, command, relies_on))
            except Refused as refused:
                if job.mode == "one":
                    raise
                results.append(refused)
        spoilt = job.spoilt or any(isinstance(r, Refused) for r in results)
        broken = job.mode == "all" and spoilt
        answer = job.answer(Outcome(results, job.dry_run, not (broken or job.dry_run)))
        if broken or job.dry_run:
            self._undo(batch, mark)
        elif job.once is not None and 200 <= answer.status < 300:
            batch.kept[place] = (job.once.fingerprint, answer)
            batch.answers[place] = (job.once, answer)
        return answer

    def _apply(self, batch: _Batch, command: Command, relies_on: Keys) -> Done:
        """One command through its rule; its facts are stamped, placed and folded."""
        command.at = batch.at
        states: dict[str, Any] = {}
        while relies_on:
            for name, key in relies_on.items():
                held = self._cache.get(key)
                states[name] = held.state if held is not None else self._state(batch, key)
            relies_on = command.then_relies_on(states)
        facts = RULEBOOK[type(command)](command, **states)
        spelled = [_spell(fact, command, batch.recorded_at) for fact in facts]
        entries = [
            self._place(batch, fact, data) for fact, data in zip(facts, spelled, strict=True)
        ]
        for state in states.values():
            if isinstance(state, Record):
                for entry in entries:
                    if state.is_meant(entry.event):
                        state.apply(entry.event, entry.position)
        return Done(command, entries, states)

    def _place(self, batch: _Batch, fact: Event, data: bytes) -> Entry:
        """Give a fact its position and version, and fold it, so that the next command sees it."""
        stream = fact.stream
        held = self._cache.get(stream) or self._held(batch, stream)
        entry = Entry(batch.next_position, stream, held.version + 1, type(fact).__name__, fact)
        batch.entries.append(entry)
        batch.rows.append((stream, entry.version, entry.type, data))
        held.version = entry.version
        held.state.apply(fact, entry.position)
        self._let_hear(entry)
        if isinstance(fact, PostedContent):
            batch.receipts[fact.organisation, fact.receipt] = fact.record_id
        if isinstance(fact, RecordEvent):
            batch.records.setdefault(fact.record_id, []).append(entry)
        return entry

    def _undo(self, batch: _Batch, mark: int) -> None:
        """Take back what a refused job or a dry run has decided; its states are read anew."""
        for entry in reversed(batch.entries[mark:]):
            self._cache.pop(entry.stream, None)
            for key in _hearing(entry.event):
                self._cache.pop(key, None)
            if isinstance(entry.event, PostedContent):
                place = (entry.event.organisation, entry.event.receipt)
                if entry.event.replaces is None:
                    del batch.receipts[place]
                else:
                    batch.receipts[place] = entry.event.replaces
            if isinstance(entry.event, RecordEvent):
                batch.records[entry.event.record_id].pop()
        del batch.entries[mark:], batch.rows[mark:]

    def _let_hear(self, entry: Entry) -> None:
        """Let the states at hand know of a fact of another stream that moves them."""
        for key in _hearing(entry.event):
            held = self._cache.get(key)
            if held is not None:
                held.state.apply(entry.event, entry.position)

    def _write(self, batch: _Batch) -> list[bytes]:
        leaves: list[bytes] = []
        if monotonic() > self._prune_after:
            self._prune_after = monotonic() + PRUNE_SECONDS
            self._prune(batch)  # before the append: it may fold a stream from the journal
        if batch.entries:
            leaves = store.append(batch.connection, batch.rows, batch.after)
            journal.index(batch.connection, batch.entries)
        if batch.answers:
            store.insert_many(
                batch.connection,
                store.answers,
                [
                    (
                        once.scope,
                        once.key,
                        once.fingerprint,
                        answer.status,
                        answer.body,
                        batch.recorded_at,
                    )
                    for once, answer in batch.answers.values()
                ],
            )
        if batch.entries:
            self._store.poke(batch.connection)
        return leaves

    def _prune(self, batch: _Batch) -> None:
        """Let go of the answers that were kept for as long as the policy now in force asks."""
        policies: Any = (self._cache.get("policies") or self._held(batch, "policies")).state
        hours = policies.recording(batch.at).values["idempotency_hours"]
        oldest = recorded_text(batch.at - timedelta(hours=hours))
        batch.connection.execute(delete(store.answers).where(store.answers.c.kept_at < oldest))

    def _settle(self, batch: _Batch) -> None:
        self._read_to = batch.entries[-1].position
        self._last_recorded = batch.at
        while len(self._cache) > CACHED_STATES_MAX:
            self._cache.popitem(last=False)

    def _stands(self, batch: _Batch, leaves: list[bytes]) -> bool:
        """After a connection broke in COMMIT: did the batch become durable all the same?

        Waiting for the writer's lock waits for the broken transaction's end, whichever it was.
        """
        if not leaves:
            return False
        try:
            with self._store.writing() as connection:
                rows = store.read_positions(connection, [batch.after + 1])
        except DBAPIError as error:
            raise Busy from error
        return bool(rows) and rows[0].leaf_hash == leaves[0]

    def _forget_all(self) -> None:
        self._cache.clear()

    # -- states ------------------------------------------------------------------------------

    def _look_up(
        self, batch: _Batch, jobs: Sequence[Job], asked: Sequence[Sequence[_Asked]]
    ) -> None:
        """Read what the whole batch needs in a query of each kind."""
        places = [(job.once.scope, job.once.key) for job in jobs if job.once is not None]
        if places:
            batch.kept = _kept_answers(batch.connection, places)
        missing: set[str] = set()
        receipts: list[tuple[str, str]] = []
        for key in {key for commands in asked for _, named in commands for key in named.values()}:
            if key in self._cache:
                self._cache.move_to_end(key)
                continue
            prefix, _, rest = key.partition(":")
            if prefix == "receipt":
                organisation, _, receipt = rest.partition("/")
                receipts.append((organisation, receipt))
            elif prefix == "balance" or (prefix in STATES and prefix not in FOLDED_ANEW):
                missing.add(key)
        if receipts:
            batch.receipts = journal.records_under(batch.connection, receipts)
        if missing:
            self._load(batch, sorted(missing))

    def _load(self, batch: _Batch, names: Sequence[str]) -> None:
        accounts = [name.partition(":")[2] for name in names if name.startswith("balance:")]
        if accounts:
            balances = journal.shared_balances(batch.connection, accounts)
            for account in accounts:
                state = SharedBalance(account, balances.get(account, 0))
                self._cache[f"balance:{account}"] = _Held(state)
            names = [name for name in names if not name.startswith("balance:")]
        for start in range(0, len(names), STREAMS_AT_ONCE):
            chunk = names[start : start + STREAMS_AT_ONCE]
            found = journal.streams(batch.connection, chunk)
            for name in chunk:
                prefix, _, rest = name.partition(":")
                held = _Held(STATES[prefix](rest))
                for entry in found.get(name, ()):
                    held.state.apply(entry.event, entry.position)
                    if entry.stream == name:
                        held.version = entry.version
                self._cache[name] = held

    def _state(self, batch: _Batch, key: str) -> Any:
        """The state of a key that is not in the cache."""
        prefix, _, rest = key.partition(":")
        match prefix:
            case "receipt":
                organisation, _, receipt = rest.partition("/")
                return self._record(batch, batch.receipts.get((organisation, receipt)))
            case "record":
                return self._record(batch, rest)
            case "services":
                return self._services(batch, rest)
            case "actor":
                return keys.actor_names(batch.connection, [rest]).get(rest, rest)
        return self._held(batch, key).state

    def _held(self, batch: _Batch, key: str) -> _Held:
        """A stream that is not in the cache, read from the journal."""
        self._load(batch, [key])
        held = self._cache[key]
        for entry in batch.entries:  # it was undone, or evicted, amid this very batch
            if entry.stream == key:
                held.state.apply(entry.event, entry.position)
                held.version = entry.version
            elif key in _hearing(entry.event):
                held.state.apply(entry.event, entry.position)
        return held

    def _record(self, batch: _Batch, record_id: str | None) -> Record:
        state = Record()
        if record_id is None:
            return state
        for entry in journal.record(batch.connection, record_id):
            state.apply(entry.event, entry.position)
        for entry in batch.records.get(record_id, ()):
            state.apply(entry.event, entry.position)
        return state

    def _services(self, batch: _Batch, member_id: str) -> Services:
        """A person's services: a second reading of the account's stream, for the asking alone."""
        state, account = Services(), f"account:{member_id}"
        for entry in journal.streams(batch.connection, [account]).get(account, ()):
            state.apply(entry.event, entry.position)
        for entry in batch.entries:
            if entry.stream == account:
                state.apply(entry.event, entry.position)
        return state


class Desk:
    """A bounded queue before the one committer thread."""

    def __init__(self, committer: Committer, waiting_max: int = WAITING_JOBS_MAX) -> None:
        self._committer = committer
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._waiting_max = waiting_max
        self._closing = False
        self._door = threading.Lock()  # so that nobody comes in behind the last
        self.finished: Callable[[int, float, float], None] = lambda jobs, seconds, waited: None
        """Told after each batch: its jobs, seconds to its commit, seconds that its first waited."""
        self._begun: float | None = None  # when the batch under way was, by the monotonic clock
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    @property
    def under_way_seconds(self) -> float:
        """For how long the batch under way has been; 0 where there is none."""
        begun = self._begun
        return 0.0 if begun is None else monotonic() - begun

    @property
    def depth(self) -> int:
        """Jobs that wait."""
        return self._waiting.qsize()

    async def ask(self, job: Job) -> Answer:
        """The job's answer, once it is durable; Refused, or Busy where the queue is full.

        Who goes away while waiting cancels nothing: the job is decided and written all the same.
        Busy too where no answer comes in ANSWER_SECONDS. Then nobody knows: what was begun may come
        to stand, what was not is never begun. Whoever asks again under the same key waits behind
        what was begun, and gets what became of it.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        waiting = _Waiting(job, future, loop, monotonic())
        self._put(waiting)
        late = loop.call_later(ANSWER_SECONDS, waiting.give_up)
        try:
            return await future
        finally:
            late.cancel()

    def ask_now(self, job: Job) -> Answer:
        """The same for a caller without an event loop."""
        future: Future[Answer] = Future()
        waiting = _Waiting(job, future, None, monotonic())
        self._put(waiting)
        try:
            return future.result(ANSWER_SECONDS)
        except TimeoutError:
            waiting.given_up = True
            if future.done():  # at the last instant; or the timeout is the job's own
                return future.result()
            raise Busy from None

    def close(self) -> None:
        """Take nothing more, finish what waits, end the thread.

        Where the database keeps the thread it is left behind: nobody was told of what it writes.
        """
        with self._door:
            if not self._closing:
                self._closing = True
                self._waiting.put(None)
        self._thread.join(END_SECONDS)
        if self._thread.is_alive():
            log.warning("what is under way is left, and was acknowledged to nobody")

    def _put(self, waiting: _Waiting) -> None:
        with self._door:
            if self._closing or self._waiting.qsize() >= self._waiting_max:
                raise Busy
            self._waiting.put(waiting)

    def _run(self) -> None:
        ended = False
        while not ended:
            first = self._waiting.get()
            batch = [] if first is None else [first]
            ended = first is None
            while len(batch) < BATCH_JOBS_MAX:
                try:
                    further = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if further is None:
                    ended = True
                else:
                    batch.append(further)
            batch = [waiting for waiting in batch if not waiting.given_up]
            if batch:
                self._finish(batch)

    def _finish(self, batch: list[_Waiting]) -> None:
        answers: Sequence[Answer | BaseException]
        started = self._begun = monotonic()
        try:
            answers = self._committer.commit([waiting.job for waiting in batch])
        except Busy as away:  # the database is, as was told at each attempt
            answers = [away] * len(batch)
        except BaseException as error:  # the thread must live to answer the next batch
            log.exception("batch failed")
            answers = [error] * len(batch)
        self._begun = None
        self.finished(len(batch), monotonic() - started, started - batch[0].since)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Any, Answer | BaseException]]] = {}
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.loop is None:
                _resolve([(waiting.future, answer)])
            else:
                by_loop.setdefault(waiting.loop, []).append((waiting.future, answer))
        for loop, resolved in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, resolved)


def _spell(fact: Event, command: Command, recorded_at: str) -> bytes:
    """Stamp a fact with who recorded it, when and in which chain; its bytes."""
    msgspec.structs.force_setattr(fact, "actor", command.actor)
    msgspec.structs.force_setattr(fact, "recorded_at", recorded_at)
    if not fact.correlation_id:  # a step of a longer chain brings that chain's
        msgspec.structs.force_setattr(fact, "correlation_id", command.correlation_id)
    data = encode(fact)
    if len(data) > FACT_BYTES_MAX:
        raise Refused("too_large", limit=f"{FACT_BYTES_MAX} B")
    return data


def _hearing(event: Event) -> list[str]:
    """The keys of states that hear a fact of another stream: accounts, and shared balances."""
    return [*event.also_in, *(f"balance:{account}" for account in moved(event))]


def _resolve(answers: list[tuple[Any, Answer | BaseException]]) -> None:
    for future, answer in answers:
        if future.done():  # the asker went away
            continue
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _kept_answers(
    connection: Connection, places: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], tuple[bytes, Answer]]:
    by_scope: dict[str, list[str]] = {}
    for scope, key in places:
        by_scope.setdefault(scope, []).append(key)
    return {
        (scope, key): (fingerprint, Answer(status, body))
        for scope, wanted in by_scope.items()
        for key, fingerprint, status, body in store.read_answers(connection, scope, wanted)
    }
