"""What a soak comes to: was anything lost, doubled or wrong, did memory grow, did answers slow."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from ledger import journal
from ledger.events import PostedContent
from ledger.verification import verify
from projections import journal_lines
from projections.replay import replay

if TYPE_CHECKING:
    from ledger.opening import Ledger
    from projections.views import Views

GROWTH_MAX = 0.05
"""What memory may grow by in the second half of a soak."""

GROSS_GROWTH_MAX = 0.50
"""The same of a short one, in which caches still fill."""

SLOWER_MAX = 1.5
"""What the p99 of the last quarter may be of the second one's; machines are noisy."""

SLOWER_MS = 20.0
"""So much slower is no matter, whatever it is in parts."""

SAMPLE_SECONDS_MIN = 2.0  # of looks that are compared

OWED = ("available", "held", "frozen")
"""The pockets of a person that never owe."""


class Sample(NamedTuple):
    """A look at a process."""

    seconds: float  # since the load began
    resident_mib: float
    descriptors: int
    threads: int


class Counted(NamedTuple):
    """What was acknowledged, and what the journal holds of it."""

    acknowledged: int
    lost: int
    doubled: int


class Held(NamedTuple):
    """An invariant, and what speaks against it; nothing where it holds."""

    name: str
    against: str


def growth(samples: Sequence[Sample], seconds: float) -> float:
    """What memory grew by in the second half, as a part: its last tenth against its first."""
    half, tenth = seconds / 2, max(seconds / 20, SAMPLE_SECONDS_MIN)
    first = [s.resident_mib for s in samples if half <= s.seconds < half + tenth]
    last = [s.resident_mib for s in samples if seconds - tenth <= s.seconds <= seconds]
    if not first or not last:
        raise ValueError("there were no looks at it")
    before = median(first)
    return median(last) / before - 1 if before else 0.0  # one that is gone, which is told by itself


def slower(windows: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    """The p99 of the second and of the last quarter of the time, as medians of their windows."""
    quarter = len(windows) // 4
    second = median(window["p99_ms"] for window in windows[quarter : 2 * quarter])
    return second, median(window["p99_ms"] for window in windows[-quarter:])


def is_flat(second: float, last: float) -> bool:
    """Did answers stay as quick as they were?"""
    return last <= max(second * SLOWER_MAX, second + SLOWER_MS)


def counted(acknowledged: Iterable[str], posted: Mapping[str, Sequence[str]]) -> Counted:
    """Lines of receipt and id against the ids that the journal has under each receipt."""
    many = lost = 0
    for line in acknowledged:
        receipt, record_id = line.rstrip("\n").split("\t")
        many += 1
        lost += record_id not in posted.get(receipt, ())
    return Counted(many, lost, sum(len(ids) > 1 for ids in posted.values()))


def recount(ledger: "Ledger", acknowledged: Path) -> Counted:
    """The same from the journal itself."""
    posted: dict[str, list[str]] = {}
    with ledger.store.reading() as connection:
        for page in journal.all_entries(connection):
            for entry in page:
                if isinstance(entry.event, PostedContent):
                    posted.setdefault(entry.event.receipt, []).append(entry.event.record_id)
    with acknowledged.open(encoding="utf-8") as lines:
        return counted(lines, posted)


def invariants(ledger: "Ledger", views: "Views") -> list[Held]:
    """Everything that must hold of a ledger, whatever was done to it."""
    wrong = verify(ledger.store).wrong
    views.catch_up()
    difference = replay(ledger.store, views).difference
    with views.engine.connect() as connection:
        said = journal_lines.trial_balance(connection)
    below = [
        each["account"]
        for each in said["accounts"]
        if each["credits"] < 0 and each["account"].rpartition(":")[2] in OWED
    ]
    return [
        Held("audit verify", "" if wrong is None else str(wrong)),
        Held("audit replay", "" if difference is None else str(difference)),
        Held("sum 0", "" if said["sum"] == 0 else str(said["sum"])),
        Held("no negative balance", ", ".join(below[:3])),
    ]


def rubbish_taken(counts: Mapping[str, int]) -> Counter[str]:
    """What came of malformed traffic that should not have: a failure, an entry, or nothing."""
    wrong = re.compile(r"status (5..|201)|no answer")
    return Counter({name: many for name, many in counts.items() if many and wrong.fullmatch(name)})


def refused(statuses: Mapping[str, int]) -> Counter[str]:
    """The answers that say that the house failed."""
    return Counter({status: many for status, many in statuses.items() if status[0] == "5"})
