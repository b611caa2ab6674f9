"""Erasing who a member is: in the vault, in the journal as a fact, and in the table of keys.

First the desk is asked whether it may be; then the vault forgets, which nothing undoes, and the
member's keys are revoked and lose their name; then the fact is recorded; at last the files are
swept. Broken off anywhere, the same request does the rest. The account lives on under its id.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from api.call import Call
from api.contract import ADMINS, Route
from api.members import TAG
from api.replies import Reply
from ledger import erasures
from ledger.commands import ErasePerson, Stamp
from ledger.desk import Answer, Done, Job, Outcome
from ledger.events import ErasureReason
from ledger.keys import forget_member
from ledger.sweeping import sweep

if TYPE_CHECKING:
    from ledger.opening import Ledger

log = structlog.stdlib.get_logger("timebank.erasure")


@dataclass(slots=True)
class Erasure:
    """Members to erase, one after the other, and then the sweeping of the files, once for all."""

    ledger: "Ledger"
    stamp: Stamp
    reason: ErasureReason = "request"

    def may_be(self, member_id: str) -> None:
        """Pass where the desk would record it, or did; else Refused."""
        self._ask(member_id, dry_run=True)

    def erase(self, member_id: str) -> int:
        """Forget who the member is; the position of the last fact about them."""
        self.may_be(member_id)
        self.forget(member_id)
        return self._ask(member_id)

    def forget(self, member_id: str) -> None:
        """All but the fact."""
        self.ledger.vault.erase(member_id)
        with self.ledger.store.writing() as connection:
            forget_member(connection, member_id, self.ledger.committer.clock())

    def command(self, member_id: str) -> ErasePerson:
        """What asks for the fact."""
        return ErasePerson(**self.stamp, member_id=member_id, reason=self.reason)

    def sweep(self) -> bool:
        """Have what was erased leave the files; False: a reader is in the way, ask again."""
        vault, keys = self.ledger.vault.sweep(), sweep(self.ledger.store.engine, "keys")
        return vault and keys

    def _ask(self, member_id: str, *, dry_run: bool = False) -> int:
        stood: list[int] = []

        def answer(outcome: Outcome) -> Answer:
            (done,) = outcome.results
            assert isinstance(done, Done)  # noqa: S101  (a refusal is raised where one is asked)
            stood.append(done.position or done.states["member"].position)
            return Answer(204, b"")

        self.ledger.desk.ask_now(Job([self.command(member_id)], answer, dry_run=dry_run))
        return stood[-1]


def held_again(ledger: "Ledger") -> Iterator[str]:
    """Whose erasure is recorded, and whom the vault holds: an old one was restored."""
    for standing in erasures.everyone(ledger.store, ledger.vault):
        if standing.is_held_again:
            yield standing.known.member_id


async def erase(call: Call) -> web.Response:
    """Forget who a member is; said again, whatever was left undone is done."""
    erasure = Erasure(call.ledger, call.stamp())
    member_id = call.path["id"]
    if call.dry_run:
        await asyncio.to_thread(erasure.may_be, member_id)
        return Reply(204, call.headers(None), b"")

    def work() -> int:
        position = erasure.erase(member_id)
        if not erasure.sweep():
            log.warning("not_swept", request_id=call.request_id)  # the next erasure sweeps again
        return position

    position = await asyncio.to_thread(work)
    return Reply(204, call.headers(None, position), b"")


ROUTES = [
    Route(
        method="DELETE",
        path="/v1/members/{id}/personal-data",
        handler=erase,
        operation="erase_personal_data",
        tag=TAG,
        summary_zh="删除成员的个人信息；账户与余额不变",
        summary_en="Erase who a member is; account and balance stand as they stood",
        roles=ADMINS,
        write=True,
        answers={204: None},
    ),
]
