"""Credentials over HTTP: attested, handed out, verified by the published keys and status lists."""

import base64
import gzip
from typing import Any

import orjson

from ledger.checkpoints import keys_in_turn
from ledger.commands import RotateSigningKey
from ledger.keys_file import load_secrets, replace_signing_key
from ledger.notes import SigningKey
from projections.papers import status_lists
from projections.papers.linked_data import from_multibase, is_signed_by
from tests.api.house import CLI, Caller, House
from tests.api.people import added
from tests.api.test_statements import issued as stated_by
from tests.api.test_statements import path_of, stated
from tests.api.visits import day
from tests.proof.others_verify import others


async def certified(house: House, member_id: str, *, registered: bool = True) -> str:
    """The id of a certificate of a member's, verified by another, registered half a year ago."""
    submitter = house.caller(role="verifier", actor="Chen", organisation="org-a")
    said = await submitter.post(
        "/v1/certifications",
        {
            "member_id": member_id,
            "level": "assistant",
            "certificate_ref": "C-1",
            "obtained_on": day(400),
        },
    )
    id: str = said.json["id"]
    assert (await house.verifier.post(f"/v1/certifications/{id}/verify", {})).status == 200
    if registered:
        path = f"/v1/certifications/{id}/register"
        assert (await house.verifier.post(path, {"registered_on": day(180)})).status == 200
    return id


async def attested(house: House, caller: Caller, id: str) -> dict[str, Any]:
    said = await caller.post(f"/v1/certifications/{id}/credential")
    assert said.status == 201, said.body
    found: dict[str, Any] = said.json
    return found


async def credential(house: House, path: str, caller: Caller | None = None) -> dict[str, Any]:
    query = f"?format=credential&min_position={house.position}"
    said = await (caller or house.verifier).get(path + query)
    assert said.status == 200, said.body
    assert said.headers["Content-Type"] == "application/vc"
    found: dict[str, Any] = said.json
    return found


def local(url: str) -> str:
    """The path of one of our own addresses."""
    return "/" + url.split("/", 3)[3]


def _is_signed(document: dict[str, Any], issuer: dict[str, Any]) -> bool:
    method = document["proof"]["verificationMethod"]
    keys = {each["id"]: each["publicKeyMultibase"] for each in issuer["verificationMethod"]}
    if method not in issuer["assertionMethod"]:
        return False
    return is_signed_by(document, from_multibase(keys[method])[2:])


async def verdict(house: House, document: dict[str, Any]) -> str:
    """What a verifier that trusts the published issuer comes to, with no key of its own."""
    issuer = (await house.stranger.get(local(document["issuer"]["id"]))).json
    if not _is_signed(document, issuer):
        return "forged"
    entry = document["credentialStatus"]
    listed = (await house.stranger.get(local(entry["statusListCredential"]))).json
    assert _is_signed(listed, issuer)
    encoded = listed["credentialSubject"]["encodedList"]
    bits = gzip.decompress(base64.urlsafe_b64decode(encoded[1:] + "=="))
    byte, bit = divmod(int(entry["statusListIndex"]), 8)
    return "revoked" if bits[byte] & 0x80 >> bit else "valid"


async def test_a_statement_is_a_credential_that_its_issuers_key_signs(house: House) -> None:
    statement, member_id, records = await stated(house)
    document = await credential(house, path_of(statement))
    subject = document["credentialSubject"]
    assert subject["achievement"]["achievementType"] == "CommunityService"
    assert "220" in {result["value"] for result in subject["result"]}
    assert subject["id"] == f"urn:uuid:{member_id}"
    assert await verdict(house, document) == "valid"
    assert await credential(house, path_of(statement)) == document  # the same bytes again
    assert statement["code"] not in str(document)
    assert "张" not in str(document)

    subject["result"][0]["value"] = "2200"
    assert await verdict(house, document) == "forged"
    reversal = f"/v1/service-records/{records[0]}/reverse"
    assert (await house.verifier.post(reversal, {"reason": "录入有误"})).status == 200
    assert await verdict(house, await credential(house, path_of(statement))) == "revoked"


async def test_verifiers_by_others_take_what_is_served_and_see_what_is_superseded(
    house: House,
) -> None:
    statement, _, records = await stated(house)
    document = await credential(house, path_of(statement))

    async def case(credential: dict[str, Any]) -> dict[str, Any]:
        issuer, listed = document["issuer"]["id"], document["credentialStatus"]
        there = [issuer, listed["statusListCredential"]]
        documents = {url: (await house.stranger.get(local(url))).json for url in there}
        return {"ask": "verify", "credential": credential, "documents": documents}

    forged = orjson.loads(orjson.dumps(document).replace(b'"220"', b'"420"'))
    cases = [await case(document), await case(forged)]
    reversal = f"/v1/service-records/{records[0]}/reverse"
    assert (await house.verifier.post(reversal, {"reason": "录入有误"})).status == 200
    await house.verifier.get(f"/v1/statements?min_position={house.position}")
    cases.append(await case(document))
    with others() as asked:
        valid, wrong, superseded = asked(cases)
    assert valid == {"verified": True, "marks": [], "why": ""}
    assert not wrong["verified"]
    assert superseded["marks"] == ["revocation"]


async def test_a_revoked_statement_is_a_revoked_credential(house: House) -> None:
    statement, member_id, _ = await stated(house)
    document = await credential(house, path_of(statement))
    other = (await stated_by(house.verifier, member_id)).json
    revoke = f"/v1/statements/{statement['number']}/revoke"
    assert (await house.verifier.post(revoke, {"reason": "误发"})).status == 200
    await house.verifier.get(f"/v1/statements?min_position={house.position}")
    assert await verdict(house, document) == "revoked"
    assert await verdict(house, await credential(house, path_of(other))) == "valid"


async def test_a_certification_is_attested_until_it_is_revoked(each_house: House) -> None:
    house = each_house
    member_id = await added(house)
    id = await certified(house, member_id)
    said = await attested(house, house.verifier, id)
    assert (said["status"], said["level"], said["in_force_from"]) == (
        "valid",
        "assistant",
        day(180),
    )
    path = f"/v1/credentials/{said['number']}"
    document = await credential(house, path)
    assert document["credentialSubject"]["achievement"]["achievementType"] == "Certification"
    assert "validUntil" in document
    assert await verdict(house, document) == "valid"
    item = (await house.auditor.get(path)).json
    assert (item["number"], item["issued_position"]) == (said["number"], said["position"])

    revoke = f"/v1/certifications/{id}/revoke"
    said = await house.verifier.post(revoke, {"effective_on": day(1), "reason": "证书无效"})
    assert said.status == 200
    item = (await house.verifier.get(f"{path}?min_position={house.position}")).json
    assert (item["status"], item["reason"]) == ("revoked", "证书无效")
    assert await verdict(house, document) == "revoked"
    refused = await house.verifier.post(f"/v1/certifications/{id}/credential")
    assert refused.code == "wrong_state"
    listed = await house.verifier.get(f"/v1/credentials?certification_id={id}&status=revoked")
    assert [each["number"] for each in listed.json["data"]] == [item["number"]]


async def test_members_have_their_certification_attested_and_see_their_own(house: House) -> None:
    member_id = await added(house)
    zhang = house.caller(role="member", actor="Zhang", member_id=member_id)
    id = await certified(house, member_id, registered=False)
    said = await attested(house, zhang, id)
    path = f"/v1/credentials/{said['number']}"
    assert "validUntil" not in await credential(house, path, zhang)
    assert (await house.member.post(f"/v1/certifications/{id}/credential")).status == 404
    assert (await house.member.get(path)).status == 404
    assert (await house.other_poster.get(path)).status == 404
    assert (await house.member.get("/v1/credentials")).json["data"] == []
    assert len((await zhang.get("/v1/credentials")).json["data"]) == 1
    elsewhere = await zhang.get(f"/v1/credentials?member_id={house.member_id}")
    assert elsewhere.json["data"] == []


async def test_a_credential_is_revoked_by_its_issuer(house: House) -> None:
    id = await certified(house, await added(house))
    said = await attested(house, house.verifier, id)
    document = await credential(house, f"/v1/credentials/{said['number']}")
    revoke = f"/v1/credentials/{said['number']}/revoke"
    assert (await house.poster.post(revoke, {"reason": "x"})).status == 403
    assert (await house.verifier.post(revoke, {})).pointers == {"/reason": "missing"}
    assert (await house.verifier.post(revoke, {"reason": "有误"})).json["status"] == "revoked"
    assert (await house.verifier.post(revoke, {"reason": "有误"})).code == "wrong_state"
    await house.verifier.get(f"/v1/credentials?min_position={house.position}")
    assert await verdict(house, document) == "revoked"


def rotated(house: House, *, lost: bool) -> None:
    settings = house.ledger.settings
    with house.ledger.store.reading() as journal:
        before = keys_in_turn(journal)[-1][1]
    replace_signing_key(settings)
    key = SigningKey(before.name, load_secrets(settings).signing_key).verifier
    house.write(RotateSigningKey(**CLI, key=str(key), replaces=str(before), lost=lost))


async def test_what_a_rotated_key_signed_holds_and_what_a_lost_one_signed_does_not(
    house: House,
) -> None:
    statement, _, _ = await stated(house)
    await house.ledger_signs()
    signed = [await credential(house, path_of(statement))]
    for lost in (False, True):
        rotated(house, lost=lost)
        signed.append(await credential(house, path_of(statement)))
        await house.ledger_signs()
    methods = [each["proof"]["verificationMethod"] for each in signed]
    assert len(set(methods)) == 3
    issuer = (await house.stranger.get("/issuers/org-a")).json
    assert issuer["assertionMethod"] == [methods[0], methods[2]]
    assert [await verdict(house, each) for each in signed] == ["valid", "forged", "valid"]


async def test_with_another_key_than_the_one_in_force_nothing_is_signed(house: House) -> None:
    statement, _, _ = await stated(house)
    await house.ledger_signs()
    for _ in range(2):  # and the log is not told: the one in force is not even the one before
        replace_signing_key(house.ledger.settings)
    house.door.signer._secrets = load_secrets(house.ledger.settings)
    await house.verifier.get(f"/v1/statements?min_position={house.position}")
    for caller, path in (
        (house.verifier, f"{path_of(statement)}?format=credential"),
        (house.stranger, "/issuers/org-a"),
        (house.stranger, "/credentials/status/org-a/0"),
    ):
        said = await caller.get(path)
        assert (said.status, said.code) == (409, "signing_key_not_in_force")


async def test_no_issuer_and_no_list_is_made_up(house: House) -> None:
    assert (await house.stranger.get("/issuers/org-z")).status == 404
    lists = "/credentials/status"
    assert (await house.stranger.get(f"{lists}/org-z/0")).status == 404
    assert (await house.stranger.get(f"{lists}/org-a/1")).status == 404
    assert (await house.stranger.get(f"{lists}/org-a/x")).status == 404
    said = await house.stranger.get(f"{lists}/org-a/0")
    assert said.status == 200
    assert said.headers["Access-Control-Allow-Origin"] == "*"
    assert said.headers["Cache-Control"] == "public, max-age=60"


async def test_a_list_is_signed_once_a_minute_however_often_it_is_asked_for(house: House) -> None:
    for number in range(3):
        await house.stranger.get(f"/credentials/status/org-a/{number}")
        await house.stranger.get("/credentials/status/org-b/0")
    assert 2 <= len(house.door.status_lists) <= 4  # a minute may have passed
    assert status_lists.PLACES == 131_072


async def test_a_list_is_answered_though_another_thread_lets_go_of_all_that_are_kept(
    house: House,
) -> None:
    class Forgetful(dict[object, dict[str, object]]):
        """What is kept is gone at once, as where another thread has cleared it."""

        def __setitem__(self, place: object, listed: dict[str, object]) -> None:
            self.clear()

    house.door.status_lists = Forgetful()
    assert (await house.stranger.get("/credentials/status/org-a/0")).status == 200


async def test_the_issuers_keys_are_those_of_the_log(house: House) -> None:
    checkpoint = await house.ledger_signs()
    issuer = (await house.stranger.get("/issuers/org-a")).json
    key = SigningKey(checkpoint.origin, house.ledger.secrets.signing_key).verifier
    assert issuer["assertionMethod"] == [f"{issuer['id']}#{key.key_id.hex()}"]
    assert issuer["name"] == "甲志愿服务队"
