"""Exports made by the tests themselves: a real journal, the reference tree, keys of their own."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from ledger import store
from ledger.commands import VerifyHours
from ledger.store import Store
from ledger.units import new_id
from tests.desk.bureau import Bureau
from tests.proof import reference
from tests.proof.reference import Signer, b64
from tests.rules.asked import correct
from tests.rules.test_transfers import freeze, gift, related
from tests.rules.town import LI, OTHER, policy, visit

ORIGIN = "timebank/main/0123456789ab"
KEY = Signer(ORIGIN, b"first")
NEXT_KEY = Signer(ORIGIN, b"second")
STRANGER = Signer(ORIGIN, b"stranger")
WITNESS = Signer("witness.example", b"witness")


def real_entries(journal: Store) -> list[bytes]:
    """A small district's history: visits, a pool, a correction, a gift, an entry of another."""
    bureau = Bureau(journal)
    bureau.settle()
    bureau.ask(policy("2026-01-01", stock_cap=400, overflow_to="pool"))
    for hour in range(8, 12):
        bureau.clock.at += timedelta(minutes=1)
        bureau.ask(visit(f"{hour:02}:00", f"{hour:02}:50", receipt=f"r-{hour}"))
    waiting = new_id()
    bureau.ask(visit("12:00", "12:50", receipt="r-12", record_id=waiting, evidence="backfilled"))
    bureau.ask(VerifyHours(**OTHER, record_id=waiting, organisation="org-a"))
    first = visit("16:00", "18:00", receipt="r-16")
    for command in (first, correct(first.record_id, start="16:00", end="17:30")):
        bureau.ask(command)
    for command in (related(), gift(60), freeze(30), freeze(20, LI)):
        bureau.ask(command)
    bureau.close()
    with journal.writing() as connection:
        last = store.last_position(connection)
        store.append(connection, [("other:1", 1, "SomethingElse", b"\x80\x00raw")], last)
    with journal.reading() as connection:
        return [store.entry_bytes(*row[:5]) for row in store.read(connection, 0, 1_000, last + 1)]


class Export:
    """The files of an export, and how to make them wrong."""

    def __init__(self, entries: Iterable[bytes], sizes: Sequence[int] | None = None) -> None:
        self.entries = list(entries)
        self.sizes = list(sizes) if sizes is not None else [5, 12, len(self.entries)]
        self.signers: dict[int, tuple[Signer, ...]] = {}  # by size, where it is not KEY alone
        self.notes = [self.note(size) for size in self.sizes]
        self.rows = trial_balance(self.entries)
        self.proofs: list[str] | None = None

    def note(self, size: int, *signers: Signer) -> str:
        head = reference.root(self.entries[:size])
        return reference.checkpoint(ORIGIN, size, head, *(signers or (KEY,)))

    def part(self, positions: Iterable[int]) -> None:
        """From now on only these lines, each with its proof in the last checkpoint."""
        positions = list(positions)
        paths = [reference.inclusion(at - 1, self.entries) for at in positions]
        self.proofs = [
            json.dumps({"position": at, "hashes": [b64(hashed) for hashed in path]})
            for at, path in zip(positions, paths, strict=True)
        ]
        self.entries = [self.entries[at - 1] for at in positions]

    def write(self, folder: Path) -> Path:
        """Write the files; the path of the first."""
        path = folder / "books.ndjson"
        path.write_bytes(b"".join(entry + b"\n" for entry in self.entries))
        checkpoints = "".join(note + "\n" for note in self.notes)
        (folder / "books.ndjson.checkpoints").write_text(checkpoints, encoding="utf-8")
        if self.proofs is not None:
            text = "".join(proof + "\n" for proof in self.proofs)
            (folder / "books.ndjson.proofs").write_text(text)
        else:
            rows = [("account", "credits"), *self.rows]
            text = "".join(f"{account},{credits}\n" for account, credits in rows)
            (folder / "books.ndjson.trial-balance.csv").write_text(text)
        return path


def trial_balance(entries: Iterable[bytes]) -> list[tuple[str, int]]:
    """Every account that the lines name, with the sum of its lines."""
    sums: dict[str, int] = {}
    for entry in entries:
        data = json.loads(entry)["data"]
        if isinstance(data, dict):
            for account, credits in data.get("entries", ()):
                sums[account] = sums.get(account, 0) + credits
    return sorted(sums.items())


def spelled(entry: dict[str, Any]) -> bytes:
    """An entry in its one spelling."""
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def rotation(position: int, new: Signer, old: Signer, version: int = 1, **more: Any) -> bytes:
    """The entry that announces a new signing key."""
    data = {
        "actor": "cli",
        "correlation_id": "chain",
        "key": new.vkey,
        "recorded_at": "2027-01-01T00:00:00.000000Z",
        "replaces": old.vkey,
        **more,
    }
    return spelled(
        {
            "data": data,
            "position": position,
            "stream": "signing_keys",
            "type": "SigningKeyRotated",
            "version": version,
        }
    )
