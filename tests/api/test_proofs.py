"""The transparency log over HTTP: checkpoint, tiles, proofs, and the log of what auditors read."""

import base64
import hashlib
from typing import Any

import pytest

from ledger.merkle import Tree, is_consistent, root_by_inclusion
from ledger.notes import Note, VerifierKey
from ledger.units import new_id
from tests.api.house import House, register


async def checkpoint(house: House) -> Note:
    await caught_up(house)
    said = await house.stranger.get("/checkpoint")
    assert said.status == 200, said.body
    assert said.headers["Content-Type"] == "text/plain; charset=utf-8"
    return Note.parse(said.body.decode())


async def caught_up(house: House) -> None:
    await house.auditor.get(f"/v1/audit/trial-balance?min_position={house.position}")


async def leaves(house: House) -> list[bytes]:
    """As an auditor has them who trusts no hash: from the entries themselves."""
    said = await house.auditor.get("/v1/audit/events?limit=500")
    positions = [event["position"] for event in said.json["data"]]
    width = len(positions)
    bundle = (await house.auditor.get(f"/tile/entries/000.p/{width}")).body
    found = []
    while bundle:
        length = int.from_bytes(bundle[:2])
        entry, bundle = bundle[2 : 2 + length], bundle[2 + length :]
        assert len(entry) == length
        found.append(hashlib.sha256(b"\0" + entry).digest())
    assert len(found) == width
    return found


def unpacked(hashes: list[str]) -> list[bytes]:
    return [base64.b64decode(each, validate=True) for each in hashes]


async def test_the_checkpoint_is_of_the_entries_and_signed_by_the_key_that_is_told(house):
    note = await checkpoint(house)
    keys = (await house.member.get("/v1/audit/signing-keys")).json["data"]
    assert [key["first_size"] for key in keys] == [0]
    assert VerifierKey.parse(keys[0]["key"]).signed(note)
    tree = Tree()
    tree.extend(await leaves(house))
    assert (note.checkpoint.size, note.checkpoint.root) == (tree.size, tree.root())
    assert tree.size == house.position


async def test_tiles_hold_the_leaves_and_nothing_beyond_them(house):
    found = await leaves(house)
    width = len(found)
    tile = f"0/000.p/{width}"
    said = await house.auditor.get(f"/tile/{tile}")
    assert said.headers["Content-Type"] == "application/octet-stream"
    assert said.body == b"".join(found)
    assert (await house.auditor.get("/tile/0/000.p/2")).body == b"".join(found[:2])
    for missing in (
        f"/tile/0/000.p/{width + 1}",
        "/tile/0/000",
        "/tile/1/000",
        "/tile/0/001.p/1",
        "/tile/0/x001/x234/067",
        f"/tile/0/x000/000.p/{width}",  # not the one spelling of its place
        "/tile/entries/000",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/64/000",
        "/tile/00/000",
        "/tile/0/0",
        "/tile/0/",
        "/tile/x",
        "/tile/0/000/extra",
    ):
        assert (await house.auditor.get(missing)).code == "not_found", missing


async def test_an_entry_is_proved_to_be_in_every_tree_that_has_it(house):
    found = await leaves(house)
    for size in range(1, len(found) + 1):
        for position in range(1, size + 1):
            said = await house.auditor.get(
                f"/v1/audit/proofs/inclusion?position={position}&size={size}"
            )
            proof = said.json
            assert set(proof) == {"leaf", "index", "size", "hashes", "root"}
            assert (proof["index"], proof["size"]) == (position - 1, size)
            leaf, root = unpacked([proof["leaf"], proof["root"]])
            assert leaf == found[position - 1]
            assert root_by_inclusion(leaf, position - 1, size, unpacked(proof["hashes"])) == root


async def test_the_log_is_proved_to_have_grown_from_what_it_was(house):
    before = (await checkpoint(house)).checkpoint
    for _ in range(5):
        register(house, new_id())
    await caught_up(house)
    kept = await house.ledger_signs()
    said = await house.auditor.get(
        f"/v1/audit/proofs/consistency?from={before.size}&to={kept.size}"
    )
    proof: dict[str, Any] = said.json
    assert set(proof) == {"from", "to", "hashes"}
    hashes = unpacked(proof["hashes"])
    assert is_consistent(before.size, kept.size, before.root, kept.root, hashes)
    whole = await house.auditor.get(f"/v1/audit/proofs/consistency?from={before.size}")
    assert whole.json == proof


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("inclusion?position=99", "/position", "not_found"),
        ("inclusion?position=1&size=99", "/size", "not_found"),
        ("inclusion?position=3&size=2", "/size", "wrong_value"),
        ("inclusion", "/position", "missing"),
        ("inclusion?position=0", "/position", "wrong_value"),
        ("consistency?from=99", "/from", "not_found"),
        ("consistency?from=1&to=99", "/to", "not_found"),
        ("consistency?from=3&to=2", "/from", "wrong_value"),
        ("consistency?to=3", "/from", "missing"),
    ],
)
async def test_there_is_no_proof_of_what_is_not_there(house, query, pointer, code):
    await caught_up(house)
    said = await house.auditor.get(f"/v1/audit/proofs/{query}")
    assert said.status == 422
    assert list(said.pointers) == [pointer]
    if code != "wrong_value":
        assert said.pointers == {pointer: code}


async def test_checkpoints_are_listed_from_the_smallest_on(house):
    await checkpoint(house)
    for _ in range(3):
        register(house, new_id())
        await caught_up(house)
        await house.ledger_signs()
    walked: list[dict[str, Any]] = []
    address = "/v1/audit/checkpoints?limit=1"
    while address:
        page = (await house.auditor.get(address)).json
        walked += page["data"]
        cursor = page["next_cursor"]
        address = f"/v1/audit/checkpoints?limit=1&cursor={cursor}" if cursor else ""
    sizes = [each["size"] for each in walked]
    assert sizes == sorted(set(sizes))
    assert len(sizes) == 4
    one = await house.auditor.get(f"/v1/audit/checkpoints/{sizes[1]}")
    assert one.json == walked[1]
    assert Note.parse(walked[1]["note"]).checkpoint.size == sizes[1]
    assert (await house.auditor.get("/v1/audit/checkpoints/1")).code == "not_found"


async def test_anybody_reads_the_checkpoint_and_auditors_alone_the_rest(house):
    for path in (
        "/tile/0/000.p/1",
        "/v1/audit/checkpoints",
        "/v1/audit/proofs/inclusion?position=1",
        "/v1/audit/proofs/consistency?from=1",
    ):
        assert (await house.stranger.get(path)).status == 401
        for role in ("poster", "verifier", "member"):
            assert (await house.callers[role].get(path)).status == 403, (role, path)
        assert (await house.admin.get(path)).status == 200


async def test_what_an_auditor_reads_is_written_down_before_it_is_answered(house):
    await house.auditor.get("/v1/members?external_ref=V-1001&limit=3")
    await house.auditor.get("/v1/audit/events?type=UnitAdded", headers={"X-Request-Id": "read-7"})
    await house.auditor.get("/v1/audit/events/999999")
    await house.admin.get("/v1/audit/events")
    assert (await house.auditor.get("/v1/audit/reads")).status == 403
    found = (await house.admin.get("/v1/audit/reads")).json["data"]
    assert [each["id"] for each in found] == list(range(1, len(found) + 1))
    assert {each["key_id"] for each in found} == {house.auditor.key.id}
    assert [each["path"] for each in found] == [
        "/v1/members?external_ref=*&limit=3",
        "/v1/audit/events?type=UnitAdded",
        "/v1/audit/events/999999",
    ]
    assert found[1]["request_id"] == "read-7"


async def test_the_log_of_reads_is_append_only(each_house):
    await each_house.auditor.get("/v1/audit/events")
    from sqlalchemy.exc import IntegrityError

    for statement in (
        "UPDATE audit_reads SET path = 'x'",
        "DELETE FROM audit_reads",
    ):
        with pytest.raises(IntegrityError), each_house.ledger.store.writing() as connection:
            connection.exec_driver_sql(statement)
    found = (await each_house.admin.get("/v1/audit/reads?limit=1")).json
    assert found["data"][0]["path"] == "/v1/audit/events"


async def test_a_checkpoint_goes_on_standing_where_nothing_may_be_signed(house):
    first = await checkpoint(house)
    register(house, new_id())
    await caught_up(house)
    with house.ledger.store.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER checkpoints_refuse_update")
        connection.exec_driver_sql("UPDATE checkpoints SET root = zeroblob(32)")
    house.age_checkpoints()
    said = await house.stranger.get("/checkpoint")
    assert Note.parse(said.body.decode()) == first
