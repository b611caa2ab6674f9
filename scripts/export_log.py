"""The log itself as an export: entries verbatim, with the checkpoints and proofs that they need."""

import base64
import csv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import orjson

from ledger.keys_file import KeysUnusable
from scripts.exporting import Export
from scripts.printing import note
from scripts.sayings import said

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from projections.views import Views


def ndjson(export: Export) -> None:
    """Entries byte for byte, one a line; beside them every checkpoint, and what a part lacks.

    The whole log has its trial balance beside it; of a part each line has its proof of inclusion
    in the last checkpoint. Both end at that checkpoint.
    """
    from ledger import store

    extract = export.extract
    whole = extract.scope.is_whole
    _checkpoints(export)
    proving: AbstractContextManager[Callable[[int], None]]
    proving = nullcontext(_no_proof) if whole else _proofs(export)
    with export.path.open("wb") as file, proving as prove:
        for entry in extract.entries():
            file.write(store.entry_bytes(*entry.row[:5]) + b"\n")
            prove(entry.row.position)
            export.heard(extract.position)
    if whole:
        with export.beside("trial-balance.csv").open("w", encoding="utf-8", newline="") as balances:
            writer = csv.writer(balances, lineterminator="\n")
            writer.writerow(("account", "credits"))
            writer.writerows(extract.closing().items())


def sign(views: "Views") -> None:
    """Have a checkpoint of all entries, where the signing key is at hand."""
    from ledger.checkpoints import last
    from scripts.log import signer

    views.catch_up()
    try:
        signer(views).sign()
    except KeysUnusable as unusable:
        with views.store.reading() as connection:
            kept = last(connection)
        if kept is None:
            raise
        note(said("exported_to_the_last", size=kept.size, reason=unusable))


def signed_to(connection: "Connection") -> int:
    """How far the newest checkpoint reaches."""
    from ledger.checkpoints import last

    kept = last(connection)
    assert kept is not None  # noqa: S101  (`sign` has seen to that)
    return kept.size


def _checkpoints(export: Export) -> None:
    from ledger.checkpoints import PAGE, after, cosigned

    connection, until = export.extract.connection, export.extract.until
    size = -1
    with export.beside("checkpoints").open("w", encoding="utf-8", newline="") as file:
        while kept := [each for each in after(connection, size, PAGE) if each.size <= until]:
            file.writelines(f"{each}\n" for each in cosigned(connection, kept))
            size = kept[-1].size


def _no_proof(position: int) -> None:
    """Of the whole log the checkpoints are proof enough."""


@contextmanager
def _proofs(export: Export) -> Iterator[Callable[[int], None]]:
    """Writes the proof that the entry at a position is in the last checkpoint, a line for each."""
    from ledger.merkle import inclusion_proof
    from projections.proofs import grown

    with grown(export.views) as (_, tree), export.beside("proofs").open("wb") as file:

        def prove(position: int) -> None:
            path = inclusion_proof(position - 1, export.extract.until, tree.nodes)
            hashes = [base64.b64encode(each).decode() for each in path]
            file.write(orjson.dumps({"position": position, "hashes": hashes}) + b"\n")

        yield prove
