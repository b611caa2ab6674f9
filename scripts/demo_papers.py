"""The demo's papers: volunteers ask for service statements, certificates are attested."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING

from ledger.commands import Command, IssueCredential, IssueStatement
from ledger.desk import Done
from ledger.paper_numbers import code_digest, new_number
from projections.papers.office import code_of_paper

if TYPE_CHECKING:
    from ledger.vault import Vault
    from scripts.demo_past import Past, Somebody

ASK_SHARE = 0.03  # of the volunteers, each month
STATED_DAYS = 365


class Papers:
    """What is asked for; number and code of the last statement are there for visitors to see."""

    def __init__(self, past: "Past", vault: "Vault") -> None:
        self._past = past
        self._vault = vault
        self._rng: Random = past.rng
        self._codes: dict[str, str] = {}
        self.last: dict[str, str] | None = None

    def begin_month(self, day: date) -> None:
        """Some volunteers ask for what they have served in a year, one certificate is attested."""
        for somebody in self._past.volunteers:
            if self._rng.random() < ASK_SHARE:
                for command in self._stating(somebody, day):
                    self._past.plan(self._past.moment_on(day), command)
        if registered := self._past.registered:
            certification_id, home = self._rng.choice(registered)
            attest = IssueCredential(
                **home.by_verifier(),
                number=new_number("CR"),
                certification_id=certification_id,
                organisation=home.organisation.code,
            )
            self._past.plan(self._past.moment_on(day), attest)

    def of_today(self, day: date) -> Iterator[Command]:
        """Statements of some who may have served, so that there is one to look at."""
        for somebody in self._past.volunteers[:20]:
            yield from self._stating(somebody, day)

    def heard(self, done: Done) -> None:
        """A statement was issued."""
        if isinstance(done.command, IssueStatement):
            number = done.command.number
            self.last = {"number": number, "code": self._codes.pop(number)}

    def _stating(self, somebody: "Somebody", day: date) -> Iterator[Command]:
        number = new_number("ST")
        code = code_of_paper(self._vault, somebody.id, number)
        if code is None:
            return
        self._codes[number] = code
        yield IssueStatement(
            **somebody.home.by_verifier(),
            number=number,
            code_digest=code_digest(number, code),
            member_id=somebody.id,
            organisation=somebody.home.organisation.code,
            first=day - timedelta(days=STATED_DAYS),
            last=day,
        )
