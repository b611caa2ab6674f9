"""A desk on a real store, with a clock that the test sets, and short ways to ask."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import insert

from ledger import journal
from ledger.commands import Command
from ledger.desk import Answer, Committer, Desk, Job, Mode, Once, Outcome
from ledger.events import Entry
from ledger.store import Store, keys
from ledger.units import Refused, recorded_text
from tests.rules.town import NOW, OTHER, STAMP, field


class Clock:
    """Says what the test set last."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


def worded(outcome: Outcome) -> Answer:
    """An answer that tells everything a test may want to know."""
    said: list[Any] = []
    for result in outcome.results:
        if isinstance(result, Refused):
            said.append({"refused": result.code})
            continue
        record = result.states.get("before") or result.states.get("record")
        said.append(
            {
                "facts": [entry.type for entry in result.entries],
                "positions": [entry.position for entry in result.entries],
                "record": getattr(record, "status", None),
                "minutes": getattr(getattr(record, "figures", None), "minutes", None),
            }
        )
    refused = any("refused" in one for one in said)
    status = 409 if refused and not outcome.written and not outcome.dry_run else 201
    return Answer(status, orjson.dumps({"position": outcome.position, "results": said}))


class Bureau:
    """A desk, and what stands in its journal."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self.store = store
        self.clock = clock or Clock()
        self.committer = Committer(store, self.clock)
        self.desk = Desk(self.committer)

    def ask(self, *commands: Command, mode: Mode = "one", **other: Any) -> dict[str, Any]:
        return orjson.loads(self.answer(*commands, mode=mode, **other).body)

    def answer(self, *commands: Command, mode: Mode = "one", **other: Any) -> Answer:
        return self.desk.ask_now(Job(commands, worded, mode, **other))

    def ask_together(self, jobs: Sequence[Job]) -> list[Answer | BaseException]:
        """All in one transaction."""
        return self.committer.commit(jobs)

    def settle(self) -> None:
        """The field of the town as facts, and the two who ask as keys."""
        with self.store.writing() as connection:
            for stamp in (STAMP, OTHER):
                connection.execute(
                    insert(keys).values(
                        id=stamp["actor"],
                        hash=stamp["actor"].encode(),
                        role="admin",
                        actor=stamp["actor_name"],
                        created_at=recorded_text(self.clock.at),
                    )
                )
        self.ask(*field(), mode="each")

    def entries(self) -> list[Entry]:
        with self.store.reading() as connection:
            return [entry for page in journal.all_entries(connection) for entry in page]

    def close(self) -> None:
        self.desk.close()


def job(*commands: Command, mode: Mode = "one", **other: Any) -> Job:
    return Job(commands, worded, mode, **other)


def once(key: str, fingerprint: bytes = b"f" * 32) -> Once:
    return Once("organisation:org-a", key, fingerprint)


def later(minutes: int = 0) -> datetime:
    return datetime(2026, 3, 10, 4, minutes, tzinfo=UTC)
