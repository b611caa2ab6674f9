"""The books: lines on accounts that are no person's, with balances after them; trial balance.

A person's four accounts have their lines in the passbook, in the same way.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, func, select

from projections import passbook, schema, trail
from projections.listing import Item, Listed, listed
from projections.page import POCKETS, RECEIVABLE, Page, Pocket, pocket
from projections.schema import accounts, balances, journal_lines


def project(page: Page) -> None:
    """Post the lines of every event that moves credits."""
    rows = page.new(journal_lines)
    for entry in page.entries:
        for line, (name, credits) in enumerate(getattr(entry.event, "entries", ())):
            if pocket(name) is None:
                account = page.accounts.change(name)
                after = account.credits = account.credits + credits
                rows.append(
                    (entry.position, line, account.id, credits, after, page.served_on(entry))
                )


def balance(connection: Connection, account: str, position: int | None = None) -> int:
    """An account's balance, now or after the entry at a position: one index seek."""
    mine = pocket(account)
    if mine is not None:
        credits = passbook.account_of(connection, mine.member_id, position)[mine.place]
        return -credits if mine.place == RECEIVABLE else credits
    found = connection.execute(shared_at(position).where(accounts.c.name == account)).first()
    return int(found.credits or 0) if found is not None else 0


def account_lines(
    connection: Connection, account: str, after: int = 0, limit: int = 50
) -> Listed | None:
    """An account's lines, oldest first, with what it held after each; None: it never had one."""
    mine = pocket(account)
    if mine is not None:
        return _pocket_lines(connection, mine, after, limit)
    number = connection.execute(select(accounts.c.id).where(accounts.c.name == account)).scalar()
    if number is None:
        return None
    line, fact = journal_lines.c, schema.trail.c
    query = (
        select(
            line.position,
            fact.recorded_at,
            fact.type,
            line.served_on,
            line.credits,
            line.balance_after,
        )
        .join(schema.trail, fact.position == line.position)
        .where(line.account == number)
    )
    return listed(connection, query, line.position, after, limit, _line)


def accounts_listed(connection: Connection, after: int = 0, limit: int = 50) -> Listed:
    """Every account that has had a line, with its balance: first those that are no person's."""
    found: list[tuple[int, Item]] = []
    if after < _FIRST_POCKET:
        query = select(accounts).where(accounts.c.id > after).order_by(accounts.c.id)
        found += [
            (row.id, {"account": row.name, "credits": row.credits})
            for row in connection.execute(query.limit(limit + 1))
        ]
    if len(found) <= limit:
        found += _pockets(connection, max(after, _FIRST_POCKET), limit + 1 - len(found))
    items = [item for _, item in found[:limit]]
    return Listed(items, found[limit - 1][0] if len(found) > limit else None)


def account_balances(
    connection: Connection, position: int | None = None
) -> Iterator[tuple[str, int]]:
    """Every account that has had a line by then, with its balance."""
    streaming = connection.execution_options(yield_per=5_000)
    for name, credits in streaming.execute(shared_at(position)):
        if credits is not None:
            yield name, credits
    for member_id, *parts, opened in streaming.execute(_members(position)):
        for place, name in enumerate(POCKETS):
            if opened & 1 << place:
                credits = -parts[place] if place == RECEIVABLE else parts[place]
                yield f"person:{member_id}:{name}", credits


def trial_balance(connection: Connection, position: int | None = None) -> dict[str, Any]:
    """Every account at a position that the views have read, and their sum, which is 0."""
    reached = trail.position(connection)
    if position is not None and position >= reached:
        position = None
    found = sorted(account_balances(connection, position))
    return {
        "position": reached if position is None else position,
        "accounts": [{"account": name, "credits": credits} for name, credits in found],
        "sum": sum(credits for _, credits in found),
    }


def _pocket_lines(connection: Connection, mine: Pocket, after: int, limit: int) -> Listed | None:
    """A pocket's lines out of its owner's passbook."""
    line, fact, name = schema.passbook.c, schema.trail.c, POCKETS[mine.place]
    owner = connection.execute(select(balances).where(balances.c.member_id == mine.member_id))
    row = owner.first()
    if row is None or not row.opened & 1 << mine.place:
        return None
    sign = -1 if mine.place == RECEIVABLE else 1
    query = (
        select(
            line.position,
            fact.recorded_at,
            fact.type,
            line.served_on,
            (line[name] * sign).label("credits"),
            (line[f"{name}_after"] * sign).label("balance_after"),
        )
        .join(schema.trail, fact.position == line.position)
        .where(line.member == row.id, line[name] != 0)
    )
    return listed(connection, query, line.position, after, limit, _line)


def _pockets(connection: Connection, after: int, limit: int) -> Iterator[tuple[int, Item]]:
    """At most so many pockets behind a place, with the place of each."""
    member, _ = divmod(after - _FIRST_POCKET, len(POCKETS))
    query = select(balances).where(balances.c.id >= member).order_by(balances.c.id)
    for row in connection.execute(query.limit(limit + 1)):
        for number, name in enumerate(POCKETS):
            place = _FIRST_POCKET + row.id * len(POCKETS) + number
            if limit and place > after and row.opened & 1 << number:
                limit -= 1
                credits = -row.receivable if number == RECEIVABLE else row._mapping[name]
                yield place, {"account": f"person:{row.member_id}:{name}", "credits": credits}


def _line(row: Any) -> Item:
    return {
        "position": row.position,
        "recorded_at": row.recorded_at,
        "type": row.type,
        "served_on": row.served_on,
        "credits": row.credits,
        "balance_after": row.balance_after,
    }


_FIRST_POCKET = 1 << 40
"""In a walk over all accounts persons' come behind this place, four to a member."""


def shared_at(position: int | None) -> Select[Any]:
    """Accounts that are no person's, with balances; None before the first line."""
    if position is None:
        return select(accounts.c.name, accounts.c.credits)
    line = journal_lines.c
    last = (
        select(line.balance_after)
        .where(line.account == accounts.c.id, line.position <= position)
        .order_by(line.position.desc(), line.line.desc())
        .limit(1)
        .scalar_subquery()
    )
    return select(accounts.c.name, last.label("credits"))


def _members(position: int | None) -> Select[Any]:
    """Members with their four pockets, and which of these have had a line."""
    if position is None:
        pockets = (balances.c[name] for name in POCKETS)
        return select(balances.c.member_id, *pockets, balances.c.opened)
    line, before = schema.passbook.c, schema.passbook.alias().c
    last = (
        select(func.max(before.position))
        .where(before.member == balances.c.id, before.position <= position)
        .scalar_subquery()
    )
    # Found first, member by member; else SQLite may walk the whole passbook instead.
    ends = select(balances.c.id, balances.c.member_id, last.label("last")).cte("ends")
    ends = ends.prefix_with("MATERIALIZED")
    pockets = (line[f"{name}_after"] for name in POCKETS)
    return select(ends.c.member_id, *pockets, line.opened_after).join_from(
        ends, schema.passbook, (line.member == ends.c.id) & (line.position == ends.c.last)
    )
