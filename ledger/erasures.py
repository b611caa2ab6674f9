"""Whether vault and journal tell the same of everybody: who is a member, and who was erased."""

from collections.abc import Iterator
from typing import NamedTuple

from ledger import journal
from ledger.events import PersonDataErased
from ledger.store import Store
from ledger.vault import Known, Vault

PEOPLE_AT_ONCE = 1_000


class Standing(NamedTuple):
    """Somebody as the vault has them, and what the journal says of the same id."""

    known: Known
    is_member: bool
    erasure_recorded: bool

    @property
    def is_held_again(self) -> bool:
        """Is somebody held whose erasure is recorded? So it is where an old vault was restored."""
        return self.erasure_recorded and self.known.status != "erased"

    @property
    def is_unrecorded(self) -> bool:
        """Was somebody erased, and the fact never came?"""
        return self.known.status == "erased" and not self.erasure_recorded


def everyone(store: Store, vault: Vault) -> Iterator[Standing]:
    """Everybody in the vault, in the order of their ids, some at a time."""
    after = ""
    while page := vault.everyone(after, PEOPLE_AT_ONCE):
        after = page[-1].member_id
        with store.reading() as connection:
            told = journal.streams(connection, [f"member:{known.member_id}" for known in page])
        for known in page:
            entries = told.get(f"member:{known.member_id}", [])
            erased = any(isinstance(entry.event, PersonDataErased) for entry in entries)
            yield Standing(known, bool(entries), erased)
