"""A town without a store: rules and states in memory, for given / when / then."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
from msgspec.structs import replace

from ledger import commands
from ledger.commands import Command
from ledger.events import Event, PostedContent, RecordEvent
from ledger.rules import RULEBOOK, STATES
from ledger.rules.service_records import Record
from ledger.rules.shared_balances import SharedBalance, moved
from ledger.units import Refused, new_id, recorded_text

ZHANG = "019f0000-0000-7000-8000-00000000000a"
LI = "019f0000-0000-7000-8000-00000000000b"
NOW = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)  # a Tuesday, noon in Shanghai
STAMP = {"actor": "key00001", "actor_name": "Wang", "correlation_id": "chain"}
OTHER = {"actor": "key00002", "actor_name": "Zhao", "correlation_id": "chain"}


class Town:
    """Everything folded so far, by the keys that commands rely on."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at
        self.facts: list[Event] = []
        self.asked: list[Command] = []  # what was not refused
        self.states: dict[str, Any] = {}
        self.receipts: dict[str, str] = {}
        self.names = {"key00001": "Wang", "key00002": "Zhao"}
        self.position = 0

    def state(self, key: str) -> Any:
        prefix, _, rest = key.partition(":")
        if prefix == "actor":
            return self.names.get(rest, rest)
        if prefix == "balance":
            return self.states.setdefault(key, SharedBalance(rest))
        if prefix == "receipt":
            record_id = self.receipts.get(rest)
            return Record() if record_id is None else self.state(f"record:{record_id}")
        if prefix == "services":  # a second reading of the account, for the asking alone
            services, account = STATES[prefix](rest), f"account:{rest}"
            for position, fact in enumerate(self.facts, 1):
                if account in (fact.stream, *fact.also_in):
                    services.apply(fact, position)
            return services
        if key not in self.states:
            self.states[key] = STATES[prefix](rest)
        return self.states[key]

    def ask(self, command: Command) -> list[Event]:
        command.at = self.at
        states: dict[str, Any] = {}
        keys = command.relies_on()
        while keys:
            states |= {name: self.state(key) for name, key in keys.items()}
            keys = command.then_relies_on(states)
        facts = RULEBOOK[type(command)](command, **states)
        self.asked.append(command)
        for fact in facts:
            stamped = {
                "actor": command.actor,
                "recorded_at": recorded_text(self.at),
                "correlation_id": fact.correlation_id or command.correlation_id,
            }
            self.take_in(replace(fact, **stamped))
        return facts

    def take_in(self, fact: Event) -> None:
        self.position += 1
        self.facts.append(fact)
        self.state(fact.stream).apply(fact, self.position)
        for key in (*fact.also_in, *(f"balance:{account}" for account in moved(fact))):
            self.state(key).apply(fact, self.position)
        if isinstance(fact, RecordEvent):
            self.state(f"record:{fact.record_id}").apply(fact, self.position)
        if isinstance(fact, PostedContent):
            self.receipts[f"{fact.organisation}/{fact.receipt}"] = fact.record_id

    # -- given / when / then -------------------------------------------------------------------

    def given(self, *asked: Command) -> Self:
        for command in asked:
            self.ask(command)
        return self

    def when(self, command: Command) -> "Answered":
        try:
            return Answered(self.ask(command), None)
        except Refused as refused:
            return Answered([], refused)


class Answered:
    """What a command came to."""

    def __init__(self, facts: list[Event], refused: Refused | None) -> None:
        self.facts, self.refused = facts, refused

    def then(self, event_type: type[Event], **fields: object) -> Event:
        assert self.refused is None, f"refused: {self.refused}"
        (fact,) = self.facts
        return told(fact, event_type, fields)

    def then_both(
        self, first: tuple[type[Event], dict[str, Any]], second: tuple[type[Event], dict[str, Any]]
    ) -> list[Event]:
        """Two facts, in this order."""
        assert self.refused is None, f"refused: {self.refused}"
        return [told(fact, *said) for fact, said in zip(self.facts, (first, second), strict=True)]

    def then_nothing_new(self) -> None:
        assert self.refused is None, f"refused: {self.refused}"
        assert self.facts == []

    def then_refused(self, code: str, pointer: str | None = None) -> None:
        if self.refused is None:
            pytest.fail(f"expected {code}, came to {self.facts}")
        assert (self.refused.code, self.refused.pointer) == (code, pointer)


def told(fact: Event, event_type: type[Event], fields: dict[str, Any]) -> Any:
    assert type(fact) is event_type
    assert {name: getattr(fact, name) for name in fields} == fields
    return fact


def field(organisations: Iterable[str] = ("org-a", "org-b")) -> list[Command]:
    """A district with a street, two organisations, and two members that both know."""
    asked: list[Command] = [
        commands.AddUnit(**STAMP, code="west", name="西海岸", level="district"),
        commands.AddUnit(**STAMP, code="lake", name="湖街", level="street", parent="west"),
    ]
    asked.extend(
        commands.AddOrganisation(**STAMP, code=code, name=code, kind="volunteer", unit="lake")
        for code in organisations
    )
    for member in (ZHANG, LI):
        asked.append(
            commands.RegisterMember(
                **STAMP, member_id=member, organisation="org-a", roles=("volunteer",), unit="lake"
            )
        )
        asked.append(
            commands.JoinMember(**STAMP, member_id=member, organisation="org-b", consent_ref="c-1")
        )
    return asked


def town(at: datetime = NOW) -> Town:
    """The town with its field, at an instant."""
    made = Town(at).given(*field())
    return made


def shanghai(text: str) -> datetime:
    """`2026-03-09 14:00` on the clocks of Shanghai."""
    return datetime.fromisoformat(text + "+08:00")


def visit(
    start: str = "14:00",
    end: str = "16:00",
    *,
    on: str = "2026-03-09",
    by: str = "org-a",
    stamp: dict[str, str] | None = None,
    **other: Any,
) -> commands.PostHours:
    """A service of Zhang's, on a Monday afternoon where nothing else is said."""
    started_at, ended_at = shanghai(f"{on} {start}"), shanghai(f"{on} {end}")
    if ended_at < started_at:
        ended_at += timedelta(days=1)
    said: dict[str, Any] = {
        "record_id": new_id(),
        "receipt": f"{by}-{on}-{start}-{end}",
        "member_id": ZHANG,
        "activity": "陪伴就医",
        "category": "elderly",
        "place": "lake",
        "responsible": "staff-7",
    }
    return commands.PostHours(
        **(stamp or STAMP),
        organisation=by,
        started_at=started_at,
        ended_at=ended_at,
        **(said | other),
    )


def policy(effective_on: str, **changes: object) -> commands.PublishPolicy:
    """A publication by the administrator."""
    return commands.PublishPolicy(
        **STAMP, effective_on=datetime.fromisoformat(effective_on).date(), changes=changes
    )
