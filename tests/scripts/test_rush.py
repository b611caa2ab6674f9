"""Many clients at once on the last items, one balance and the same holds, and what they get."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.forks import Forked
from tests.scripts.test_serve import served
from tests.scripts.typed import Typed, started, timebank

CLIENTS = 100
HOLDS = 40
ITEMS = 10
CREDITS = 300  # that the member has at first
PRICE = 7  # of what has no stock

ENDINGS = ("RedemptionFulfilled", "RedemptionCancelled", "RedemptionExpired")

Asked = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Bank:
    """A ledger with a member who has credits, and what they may redeem."""

    key: str
    member_id: str
    provider_id: str


def done(line: str) -> Any:
    said: Typed = timebank(f"{line} --json")
    assert said.code == 0, said.err
    return said.json


def bank(folder: Path) -> Bank:
    """The field, two members and a key; all through the command line."""
    done("unit add west --name 西海岸 --level district")
    done("org add org-a --name 甲志愿服务队 --kind volunteer --unit west")
    key = done("key create --role verifier --actor Zhao --org org-a")["key"]
    member_id, provider_id = (
        done(f"member add --org org-a --roles volunteer --unit west --external-ref {ref}")["id"]
        for ref in ("V-1", "V-2")
    )
    assert timebank(f"hours import {sheet(folder, 'first', [CREDITS])} --org org-a").code == 0
    return Bank(key, member_id, provider_id)


def sheet(folder: Path, name: str, minutes: Sequence[int]) -> str:
    """Services of the member on days before, so long each; every sheet has an hour of its own."""
    names = "receipt,member_ref,activity,category,place,responsible,started_at,ended_at"
    lines = [names]
    first = {"first": 0, "second": 6, "third": 9, "fourth": 12}[name]
    for number, length in enumerate(minutes):
        day = datetime.now(UTC).replace(hour=first, minute=0, second=0, microsecond=0)
        start = day - timedelta(days=2 + number)
        end = start + timedelta(minutes=length)
        fields = (f"{name}-{number}", "V-1", "陪伴", "elderly", "west", "staff-7")
        lines.append(",".join([*fields, start.isoformat(), end.isoformat()]))
    file = folder / f"{name}.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    return str(file)


async def rush(bank: Bank, addresses: Sequence[str], asked: Sequence[Asked]) -> list[Any]:
    """Ask all at once, each of one of the servers; status and body of every answer."""
    headers = {"Authorization": f"Bearer {bank.key}"}
    connector = aiohttp.TCPConnector(limit=0)

    async def ask(number: int, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        address = addresses[number % len(addresses)]
        async with session.post(f"{address}{path}", json=body) as answer:
            return answer.status, await answer.json(content_type=None)

    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        return await asyncio.gather(*(ask(number, *one) for number, one in enumerate(asked)))


def ask_all(bank: Bank, addresses: Sequence[str], *asked: Asked) -> list[Any]:
    return asyncio.run(rush(bank, addresses, asked))


def reserving(bank: Bank, reward: str) -> Asked:
    return "/v1/redemptions", {"member_id": bank.member_id, "reward": reward}


def offer(bank: Bank, address: str) -> None:
    """Rice, of which there are ten, bread without end, and care by others."""
    rice = {"code": "rice", "name": "大米", "kind": "benefit", "credits": 1, "stock": ITEMS}
    bread = {"code": "bread", "name": "面包", "kind": "benefit", "credits": PRICE}
    care = {"code": "care", "name": "陪护", "kind": "peer_service", "credits": PRICE}
    said = ask_all(bank, [address], *(("/v1/rewards", body) for body in (rice, bread, care)))
    assert [status for status, _ in said] == [201] * 3, said


def accounts(bank: Bank) -> tuple[int, int, int]:
    """What the member has available and held, and what the provider has; the books are square."""
    books = done("audit trial-balance")
    assert books["sum"] == 0
    found = {one["account"]: one["credits"] for one in books["accounts"]}
    mine, theirs = f"person:{bank.member_id}", f"person:{bank.provider_id}"
    assert min(credits for name, credits in found.items() if name.startswith("person:")) >= 0
    return (
        found[f"{mine}:available"],
        found.get(f"{mine}:held", 0),
        found.get(f"{theirs}:available", 0),
    )


def finished(running: Forked) -> None:
    """Wait for a verb that runs in a process of its own, which has no complaint."""
    _, complaint = running.communicate(timeout=60)
    assert running.returncode == 0, complaint


def proved() -> None:
    assert timebank("audit verify").code == 0
    assert timebank("audit replay").code == 0


@pytest.mark.postgresql
def test_four_servers_give_what_is_there_and_no_more(folder, postgresql_url, monkeypatch):
    monkeypatch.setenv("TIMEBANK_DATABASE_URL", postgresql_url)
    done("init --admin-key-file admin.key")
    town = bank(folder)
    with ExitStack() as stack:
        addresses = [stack.enter_context(served(folder))["address"] for _ in range(4)]
        offer(town, addresses[0])
        said = ask_all(town, addresses, *[reserving(town, "rice")] * CLIENTS)
        assert Counter(status for status, _ in said) == {201: ITEMS, 409: CLIENTS - ITEMS}
        assert {body["code"] for status, body in said if status == 409} == {"out_of_stock"}
        said = ask_all(town, addresses, *[reserving(town, "bread")] * CLIENTS)
        given = (CREDITS - ITEMS) // PRICE
        assert Counter(status for status, _ in said) == {201: given, 409: CLIENTS - given}
        assert {body["code"] for status, body in said if status == 409} == {"not_enough_credits"}
    assert accounts(town)[:2] == (CREDITS - ITEMS - given * PRICE, ITEMS + given * PRICE)
    proved()


def test_a_server_and_imports_beside_it_give_what_is_there_and_no_more(made):
    town = bank(made)
    sheets = [sheet(made, name, [15, 20, 25]) for name in ("second", "third", "fourth")]
    with served(made) as server:
        offer(town, server["address"])
        imports = [started(f"hours import {file} --org org-a", made) for file in sheets]
        asked = [reserving(town, "rice"), reserving(town, "bread")] * CLIENTS
        said = ask_all(town, [server["address"]], *asked)
        for running in imports:
            finished(running)
    rice, bread = said[::2], said[1::2]
    assert Counter(status for status, _ in rice)[201] == ITEMS
    assert {body["code"] for status, body in rice if status != 201} == {"out_of_stock"}
    given = sum(status == 201 for status, _ in bread)
    assert {body["code"] for status, body in bread if status != 201} == {"not_enough_credits"}
    earned = CREDITS + 3 * 60
    held = ITEMS + given * PRICE
    assert accounts(town)[:2] == (earned - held, held)
    assert given >= (CREDITS - ITEMS) // PRICE
    proved()


def test_every_hold_ends_once_under_a_storm(made_anywhere):
    town = bank(made_anywhere)
    as_of = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    several = 1 if (made_anywhere / "timebank.db").exists() else 2
    with ExitStack() as stack:
        servers = [stack.enter_context(served(made_anywhere)) for _ in range(several)]
        addresses = [server["address"] for server in servers]
        offer(town, addresses[0])
        said = ask_all(town, addresses, *[reserving(town, "care")] * HOLDS)
        holds = [body["id"] for _, body in said]
        expiring = started(f"jobs run --only holds --as-of {as_of} --allow-future", made_anywhere)
        storm: list[Asked] = []
        for hold in holds:
            part = {"provider_id": town.provider_id, "credits": PRICE - 2}
            whole = {"provider_id": town.provider_id}
            storm.append((f"/v1/redemptions/{hold}/fulfil", part))
            storm.append((f"/v1/redemptions/{hold}/cancel", {"reason": "临时有事"}))
            storm.append((f"/v1/redemptions/{hold}/fulfil", whole))
        said = ask_all(town, addresses, *storm)
        finished(expiring)
    ended = [body["id"] for status, body in said if status == 200]
    assert len(set(ended)) == len(ended)
    assert {body["code"] for status, body in said if status != 200} == {"wrong_state"}
    trail = done(f"audit trail --member {town.member_id} --limit 1000")["data"]
    facts = Counter(entry["stream"] for entry in trail if entry["type"] in ENDINGS)
    assert facts == dict.fromkeys((f"redemption:{hold}" for hold in holds), 1)
    paid = sum(body["paid"] for status, body in said if status == 200)
    assert accounts(town) == (CREDITS - paid, 0, paid)
    proved()
