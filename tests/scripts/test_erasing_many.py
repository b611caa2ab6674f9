"""A hundred of a thousand members are erased, and everything that was proved stands as it stood."""

from typing import Any

from projections import proofs
from projections.papers.issued import STATEMENTS
from projections.papers.issued import listing as papers
from projections.views import Views
from scripts.door import opened
from tests.scripts.test_stores import checks
from tests.scripts.typed import timebank

MEMBERS, ERASED, STATED = 1_000, 100, 20
HEAD = "receipt,member_ref,activity,category,place,responsible,started_at,ended_at"


def sheets(folder: Any) -> None:
    """A thousand members, and a service of each."""
    people = [f"V-{n},volunteer,lake,成员{n}" for n in range(MEMBERS)]
    rows = ["external_ref,roles,unit,name", *people]
    (folder / "members.csv").write_text("\n".join(rows), encoding="utf-8")
    day = "2026-09-01T{hour}:00:00+08:00"
    served = [
        f"R-{n},V-{n},送餐,meals,lake,staff-7,{day.format(hour='08')},{day.format(hour='10')}"
        for n in range(MEMBERS)
    ]
    (folder / "hours.csv").write_text("\n".join([HEAD, *served]), encoding="utf-8")


def proved(views: Views, size: int) -> list[dict[str, Any]]:
    """The inclusion proof of every entry of the first `size` in the tree of just those."""
    with proofs.grown(views) as (journal, tree):
        return [
            proofs.inclusion(tree, journal, position, size).told()
            for position in range(1, size + 1)
        ]


def test_nothing_that_was_proved_changes(made_anywhere, field, tmp_path):
    field()
    sheets(tmp_path)
    assert timebank(f"member import {tmp_path / 'members.csv'} --org org-a --json").code == 0
    assert timebank(f"hours import {tmp_path / 'hours.csv'} --org org-a --json").code == 0
    with opened() as ledger:
        ids = [known.member_id for known in ledger.vault.everyone(limit=MEMBERS + 1)]
    assert len(ids) == MEMBERS
    for member in ids[ERASED - STATED // 2 :][:STATED]:  # half of them are erased
        asked = f"statement issue {member} --org org-a --from 2026-01-01 --to 2026-12-31 --json"
        assert timebank(asked).json["minutes"] == 120
    before = seen()
    erased = timebank(f"member erase {' '.join(ids[:ERASED])} --yes --json")
    assert (erased.code, erased.json["erased"]) == (0, ERASED)
    with opened() as ledger:
        people = ledger.vault.everyone(limit=MEMBERS + 1)
    assert sum(known.status == "erased" for known in people) == ERASED

    assert timebank("audit verify").code == 0
    after = seen(before["size"])
    assert after["size"] == before["size"] + ERASED
    assert after["proofs"] == before["proofs"]
    assert after["books"] == before["books"]
    assert after["statements"] == before["statements"]
    assert len(after["statements"]) == STATED
    replayed = timebank("audit replay --json")
    assert replayed.code == 0
    assert replayed.json["live"] == replayed.json["replayed"]
    assert checks(timebank("doctor --json"))["orphans"] == "ok"


def seen(size: int | None = None) -> dict[str, Any]:
    """The proofs of the first `size` entries, the books, and what statements state."""
    with opened() as ledger:
        views = Views(ledger.store, ledger.views_engine)
        views.catch_up()
        with ledger.views_engine.connect() as connection:
            stated = papers(connection, STATEMENTS, limit=MEMBERS).items
        found = {
            "size": views.position,
            "proofs": proved(views, size or views.position),
            "statements": stated,
        }
        views.close()
    balance = timebank("audit trial-balance --json").json
    return found | {"books": {name: balance[name] for name in ("accounts", "sum")}}
