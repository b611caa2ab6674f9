"""What a verification may find wrong, and where."""

from typing import Literal, NamedTuple

Fault = Literal[
    "position_missing",  # the entry at this position is not there
    "leaf",  # the row is not the one that was hashed when it was written
    "spelling",  # a line of an export is no entry in its one spelling
    "unreadable",  # the data is no fact of its type
    "stream",  # the fact belongs to another stream
    "version",  # the versions of the entry's stream are not dense from 1
    "sum",  # the double-entry lines do not sum to zero
    "recorded_at",  # recorded before the entry ahead of it
    "receipt",  # the index of receipts says otherwise, or more
    "record_entry",  # the index of records' entries says otherwise, or more
    "heard",  # the index of what streams hear of others says otherwise, or more
    "shared_balance",  # the kept balance of a pool or fund is not the sum of its lines
    "damaged",  # the database cannot be read on
    "checkpoint",  # a kept checkpoint is of another history
    "signature",  # a checkpoint does not bear the signature that it must
    "unknown_key",  # no key that is trusted stands behind the checkpoint
    "cosignature",  # a witness has not signed what stands under its name
    "pinned",  # a pinned checkpoint is of another history
    "cut_off",  # the log ends before a checkpoint does
    "proof",  # an entry's proof does not lead to the root
    "trial_balance",  # the balances that were exported are not the sums of the lines
]


class Wrong(NamedTuple):
    """What is wrong at a position. Position 0: a row that belongs to no entry.

    Where a root tells of another history, all up to `position - 1` is known to be right, and what
    is wrong stands at `position` or behind it, up to the `checkpoint`'s size.
    """

    position: int
    fault: Fault
    checkpoint: int | None = None  # the size of the checkpoint that shows it


def first(*found: Wrong | None) -> Wrong | None:
    """What stands first, if anything was found; what belongs to no entry stands last.

    An entry that is wrong by itself tells more than the checkpoint that covers it.
    """
    there = [each for each in found if each is not None]
    exact = min((each for each in there if each.checkpoint is None), default=None, key=_place)
    shown = min((each for each in there if each.checkpoint is not None), default=None, key=_place)
    if exact is None or shown is None:
        return exact or shown
    covered = 0 < exact.position <= (shown.checkpoint or 0)
    return exact if covered else min(exact, shown, key=_place)


def _place(wrong: Wrong) -> tuple[bool, int, str]:
    return wrong.position == 0, wrong.position, wrong.fault
