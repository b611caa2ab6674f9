"""The books for beancount and hledger: a transaction for each event that has lines.

Both call a credit-minute `CREDIT`, date a transaction by the local day on which it was recorded,
and have the signs of our trial balance. hledger has our account names. Beancount wants each part of
a name to begin with a capital or a digit and to hold letters, digits and hyphens alone:

    person:0195a6b2-…:available    Assets:Person:0195A6B2-…:Available
    person:…:receivable            Liabilities:Person:…:Receivable
    pool:donation, org:red:pool    Assets:Pool:Donation, Assets:Org:Red:Pool
    issue:service                  Income:Issue:Service
    sink:expired                   Expenses:Sink:Expired

`beancount_name` and `account_of` lead there and back. No text that somebody entered comes into the
books: types, ids, codes and dates alone, so nothing can be taken for their syntax.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import IO

from projections.extract import Extract, Extracted
from scripts.exporting import Export

COMMODITY = "CREDIT"
_ROOTS = {"issue": "Income", "sink": "Expenses", "ledger": "Equity"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PLAIN = re.compile(r"[a-z0-9][a-z0-9-]*")
_HEX = "hex-"
TAGS = ("member_id", "organisation", "record_id", "served_on")


def beancount(export: Export) -> None:
    """Write the books in beancount's syntax, with a balance directive for each account."""
    extract = export.extract
    opened: set[str] = set()
    with export.path.open("w", encoding="utf-8") as file:
        file.write(f'option "title" "timebank, position {extract.until}"\n')
        file.write(f'option "operating_currency" "{COMMODITY}"\n\n')
        for entry in _with_opening(export):
            if isinstance(entry, Mapping):
                day = _first_day(extract)
                _open(file, day, entry, opened)
                file.write(f'{day} * "opening" "balances before {day}"\n')
                lines: Iterable[tuple[str, int]] = entry.items()
            else:
                day = entry.recorded_on
                _open(file, day, dict(entry.lines), opened)
                file.write(f'{day} * "{entry.row.type}" "position {entry.row.position}"\n')
                file.writelines(f'  {tag}: "{value}"\n' for tag, value in _tags(entry))
                lines = entry.lines
            file.writelines(
                f"  {beancount_name(account)}  {credits} {COMMODITY}\n"
                for account, credits in lines
            )
            file.write("\n")
        following = _day_after(extract.ends_on)
        for account, credits in extract.closing().items():
            file.write(f"{following} balance {beancount_name(account)}  {credits} {COMMODITY}\n")


def hledger(export: Export) -> None:
    """Write the books in hledger's syntax, with an assertion of each account's balance."""
    extract = export.extract
    with export.path.open("w", encoding="utf-8") as file:
        file.write(f"; timebank, position {extract.until}\ncommodity 1. {COMMODITY}\n\n")
        for entry in _with_opening(export):
            if isinstance(entry, Mapping):
                day = _first_day(extract)
                file.write(f"{day} opening | balances before {day}\n")
                lines: Iterable[tuple[str, int]] = entry.items()
            else:
                tags = ", ".join(f"{tag}:{value}" for tag, value in _tags(entry))
                position = entry.row.position
                file.write(f"{entry.recorded_on} ({position}) {entry.row.type}")
                file.write(f"  ; {tags}\n" if tags else "\n")
                lines = entry.lines
            file.writelines(f"    {account}  {credits} {COMMODITY}\n" for account, credits in lines)
            file.write("\n")
        if closing := extract.closing():
            file.write(f"{extract.ends_on} balances at position {extract.until}\n")
            for account, credits in closing.items():
                file.write(f"    {account}  0 {COMMODITY} = {credits} {COMMODITY}\n")


def beancount_name(account: str) -> str:
    """The account as beancount has to call it; no two accounts have one name."""
    kind, *rest = account.split(":")
    root = _ROOTS.get(kind, "Liabilities" if rest[-1:] == ["receivable"] else "Assets")
    return ":".join([root, *map(_spelled, (kind, *rest))])


def account_of(name: str) -> str:
    """Our account of a name that `beancount_name` gave."""
    return ":".join(_read(part) for part in name.split(":")[1:])


def _spelled(part: str) -> str:
    if _UUID.fullmatch(part):
        return part.upper()
    if _PLAIN.fullmatch(part) and not part.startswith(_HEX):
        return part[0].upper() + part[1:]
    return _HEX.capitalize() + part.encode().hex()


def _read(part: str) -> str:
    if part.startswith(_HEX.capitalize()):
        return bytes.fromhex(part.removeprefix(_HEX.capitalize())).decode()
    return part.lower()


def _with_opening(export: Export) -> Iterator[Extracted | Mapping[str, int]]:
    """The entries that have lines; where something went before, first what it came to."""
    extract = export.extract
    begun = extract.scope.first is None
    for entry in extract.entries():
        export.heard(extract.position)
        if not begun:
            begun = True
            if extract.opening:
                yield dict(sorted(extract.opening.items()))
        if entry.lines:
            yield entry
    if not begun and extract.opening:  # nothing happened since
        yield dict(sorted(extract.opening.items()))


def _first_day(extract: Extract) -> str:
    return str(extract.scope.first)


def _open(file: IO[str], day: str, accounts: Iterable[str], opened: set[str]) -> None:
    for account in accounts:
        if account not in opened:
            opened.add(account)
            file.write(f"{day} open {beancount_name(account)} {COMMODITY}\n")


def _tags(entry: Extracted) -> list[tuple[str, str]]:
    event = entry.event
    found = [(tag, getattr(event, tag, None)) for tag in TAGS]
    return [(tag, value) for tag, value in found if value]


def _day_after(day: str) -> str:
    return str(date.fromisoformat(day) + timedelta(days=1)) if day else ""
