"""Writes down what an auditor asks for, before it is answered."""

import asyncio
import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ledger.access_log import Read, write_reads
from ledger.units import recorded_text

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from api.call import Call
    from ledger.store import Store

_MAY_BE_PERSONAL = re.compile(r"(?<=[?&])(external_ref|q)=[^&]*")


class AccessLog:
    """Appends the reads of auditors, those that come together in one commit."""

    def __init__(self, journal: "Store", threads: "Executor") -> None:
        self._journal = journal
        self._threads = threads
        self._reads: list[Read] = []
        self._coming: asyncio.Task[None] | None = None  # the commit that has not begun yet
        self._one = asyncio.Lock()

    async def note(self, call: "Call") -> None:
        """Keep what was asked; it is durable when this returns."""
        path = _MAY_BE_PERSONAL.sub(r"\1=*", call.request.raw_path)
        at = recorded_text(datetime.now(UTC))
        self._reads.append(Read(at, call.key.id, path, call.request_id))
        if self._coming is None:
            self._coming = asyncio.create_task(self._write())
        await asyncio.shield(self._coming)  # others wait for the same commit

    async def _write(self) -> None:
        async with self._one:
            reads, self._reads, self._coming = self._reads, [], None
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._threads, partial(write_reads, self._journal, reads))
