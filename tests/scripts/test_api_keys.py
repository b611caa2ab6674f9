"""API keys from the command line."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import orjson
import pytest
from sqlalchemy import update

from ledger.keys import OVERLAP_DAYS, ROLES, keep_uses
from ledger.store import keys as keys_table
from ledger.units import new_id, recorded_text
from scripts import api_keys
from scripts.door import opened_journal
from scripts.printing import Exit
from tests.api.issuer import jwk, private, token
from tests.scripts.typed import started, timebank

TEXT = re.compile(r"tbk_live_([0-9A-Za-z]{8})_[0-9A-Za-z]{46}")


def test_a_key_is_made_and_its_text_said_once(made_anywhere, field):
    field()
    said = timebank("key create --role poster --actor Wang --org org-a --json")
    assert set(said.json) == {"id", "key"}
    assert TEXT.fullmatch(said.json["key"])[1] == said.json["id"]
    listed = timebank("key list --json")
    assert said.json["key"] not in listed.out
    (key,) = [each for each in listed.json["keys"] if each["id"] == said.json["id"]]
    assert (key["role"], key["actor"], key["organisation"]) == ("poster", "Wang", "org-a")


def test_people_see_the_text_too(made):
    assert TEXT.search(timebank("key create --role auditor --actor Zhao").out)


def test_a_members_key_is_for_a_member_who_is_there(made, field):
    field()
    member = timebank("member add --org org-a --roles volunteer --unit lake --json").json["id"]
    made_key = timebank(f"key create --role member --actor Li --member {member} --json")
    assert made_key.code == 0
    nobody = timebank(f"key create --role member --actor Li --member {new_id()}")
    assert nobody.code == Exit.REFUSED
    assert nobody.err.startswith("/member: ")


def test_an_organisation_that_is_not_there_gets_no_key(made):
    said = timebank("key create --role poster --actor Wang --org org-z")
    assert said.code == Exit.REFUSED
    assert said.err.startswith("/org: ")
    assert len(timebank("key list --json").json["keys"]) == 1


@pytest.mark.parametrize(
    "typed",
    [
        "--role poster --actor Wang",
        "--role member --actor Wang",
        "--role admin --actor Wang --org org-a",
        "--role auditor --actor ' '",
        "--role boss --actor Wang",
    ],
)
def test_a_key_that_no_role_has_is_usage(made, field, typed):
    field()
    assert timebank(f"key create {typed}").code == Exit.USAGE


def test_a_key_has_a_last_day(made):
    said = timebank("key create --role auditor --actor Zhao --expires 2001-01-01 --json")
    (key,) = [e for e in timebank("key list --json").json["keys"] if e["id"] == said.json["id"]]
    assert (key["expires_on"], key["works"]) == ("2001-01-01", False)


def test_a_revoked_key_works_no_more(made):
    (admin,) = timebank("key list --json").json["keys"]
    said = timebank(f"key revoke {admin['id']} --json")
    assert said.json["works"] is False
    again = timebank(f"key revoke {admin['id']} --json")
    assert again.json == said.json


def test_a_key_that_is_not_there_cannot_be_revoked(made):
    said = timebank("key revoke 00000000")
    assert (said.code, said.err) == (Exit.REFUSED, "There is no key 00000000.\n")


# --- rotation ------------------------------------------------------------------------------------


def keys() -> dict[str, Any]:
    return {key["id"]: key for key in timebank("key list --json").json["keys"]}


def test_a_rotated_key_works_beside_the_new_one_for_a_week(made_anywhere, field):
    field()
    old = timebank("key create --role poster --actor Wang --org org-a --json").json["id"]
    said = timebank(f"key rotate {old} --json")
    today = datetime.now(UTC).date()
    week = (today + timedelta(OVERLAP_DAYS)).isoformat()
    assert TEXT.fullmatch(said.json["key"])[1] == said.json["id"]
    assert said.json | {"key": "", "id": ""} == {
        "id": "",
        "key": "",
        "replaces": old,
        "expires_on": None,
        "old_works_until": week,
    }
    before, after = keys()[old], keys()[said.json["id"]]
    assert (before["works"], before["expires_on"]) == (True, week)
    assert (after["works"], after["replaces"]) == (True, old)
    same = ("role", "actor", "organisation", "member_id")
    assert [before[name] for name in same] == [after[name] for name in same]


def test_a_key_that_is_lost_is_rotated_at_once(made):
    (admin,) = keys()
    said = timebank(f"key rotate {admin} --overlap-days 0 --expires 2999-12-31")
    assert said.code == 0
    assert TEXT.search(said.out)
    assert f"The old key {admin} is revoked." in said.out
    (new,) = [key for key in keys().values() if key["works"]]
    assert (new["replaces"], new["expires_on"]) == (admin, "2999-12-31")
    assert keys()[admin]["revoked_at"]


def test_people_are_told_until_when_the_old_key_works(made):
    (admin,) = keys()
    until = (datetime.now(UTC).date() + timedelta(30)).isoformat()
    said = timebank(f"key rotate {admin} --overlap-days 30")
    assert f"The old key {admin} works through {until} (UTC)." in said.out


def test_a_key_that_ended_or_was_replaced_or_is_none_is_not_rotated(made):
    (admin,) = keys()
    old = timebank("key create --role auditor --actor Li --expires 2001-01-01 --json").json["id"]
    gone = timebank("key create --role auditor --actor Li --json").json["id"]
    timebank(f"key revoke {gone}")
    new = timebank(f"key rotate {admin} --json").json["id"]
    before = keys()
    for key, says in (
        (old, f"The key {old} is revoked or expired"),
        (gone, f"The key {gone} is revoked or expired"),
        (admin, f"The key {admin} is followed by {new} already"),
        ("00000000", "There is no key 00000000."),
    ):
        said = timebank(f"key rotate {key}")
        assert (said.code, said.err[: len(says)]) == (Exit.REFUSED, says)
    assert keys() == before


@pytest.mark.parametrize("typed", ["--overlap-days -1", "--overlap-days 367", "--expires soon"])
def test_a_rotation_that_cannot_be_is_usage(made, typed):
    (admin,) = keys()
    assert timebank(f"key rotate {admin} {typed}").code == Exit.USAGE
    assert len(keys()) == 1


def test_the_overlap_is_that_of_the_ledger(made):
    assert f"default: {OVERLAP_DAYS}" in timebank("key rotate --help").out


# --- lists ---------------------------------------------------------------------------------------


def test_keys_that_nobody_uses_are_found(made):
    (admin,) = keys()
    old = timebank("key create --role auditor --actor Old --json").json["id"]
    gone = timebank("key create --role auditor --actor Gone --json").json["id"]
    ago = datetime.now(UTC) - timedelta(days=31)
    with opened_journal() as store, store.writing() as connection:
        connection.execute(
            update(keys_table)
            .where(keys_table.c.id.in_([old, gone, admin]))
            .values(created_at=recorded_text(ago))
        )
        keep_uses(connection, {admin: recorded_text(ago + timedelta(days=2))})
    timebank(f"key revoke {gone}")

    def unused(days: int) -> set[str]:
        listed = timebank(f"key list --unused-days {days} --json").json["keys"]
        return {key["id"] for key in listed}

    assert [unused(days) for days in (28, 30, 32)] == [{admin, old}, {old}, set()]


def test_keys_that_will_end_are_found(made):
    today = datetime.now(UTC).date()
    ends = {
        days: timebank(
            f"key create --role auditor --actor A --expires {today + timedelta(days)} --json"
        ).json["id"]
        for days in (-1, 0, 5)
    }

    def ending(days: int) -> set[str]:
        listed = timebank(f"key list --expiring-days {days} --json").json["keys"]
        return {key["id"] for key in listed}

    assert ending(0) == ending(4) == {ends[0]}
    assert ending(5) == {ends[0], ends[5]}


# --- subjects ------------------------------------------------------------------------------------

ISSUER = "https://id.example/realms/west"


def test_a_subject_is_registered_and_no_key_is_printed(made_anywhere, field):
    field()
    typed = f"key create --role poster --actor Wang --org org-a --subject s-1 --issuer {ISSUER}"
    said = timebank(f"{typed} --json")
    assert said.json == {"id": said.json["id"], "issuer": ISSUER, "subject": "s-1"}
    key = keys()[said.json["id"]]
    assert (key["issuer"], key["subject"], key["role"]) == (ISSUER, "s-1", "poster")
    again = timebank(typed)
    assert (again.code, said.json["id"] in again.err) == (Exit.REFUSED, True)
    refused = timebank(f"key rotate {said.json['id']}")
    assert (refused.code, "an issuer's tokens" in refused.err) == (Exit.REFUSED, True)
    timebank(f"key revoke {said.json['id']}")
    shown = timebank(typed)
    assert (shown.code, "tbk_" in shown.out, "s-1" in shown.out) == (0, False, True)


def test_the_issuer_is_that_of_the_settings_unless_it_is_said(made, monkeypatch):
    without = timebank("key create --role auditor --actor A --subject s-1")
    assert (without.code, "oidc_issuer" in without.err) == (Exit.USAGE, True)
    monkeypatch.setenv("TIMEBANK_OIDC_ISSUER", ISSUER)
    monkeypatch.setenv("TIMEBANK_OIDC_AUDIENCE", "timebank")
    said = timebank("key create --role auditor --actor A --subject s-1 --json")
    assert said.json["issuer"] == ISSUER


def test_a_subject_that_no_token_can_name_is_usage(made):
    said = timebank(f"key create --role auditor --actor A --subject '' --issuer {ISSUER}")
    assert said.code == Exit.USAGE


def test_the_roles_are_those_of_the_ledger():
    assert api_keys.ROLES == ROLES


# --- the issuer of tokens ------------------------------------------------------------------------


def doctor_on_tokens() -> tuple[str, str]:
    said = timebank("doctor --json")
    (found,) = [check for check in said.json["checks"] if check["check"] == "tokens"]
    return found["status"], found["detail"]


def test_the_doctor_looks_for_the_keys_of_the_issuer(made, monkeypatch):
    assert doctor_on_tokens() == ("ok", "no issuer is set; keys are the one way in")
    monkeypatch.setenv("TIMEBANK_OIDC_ISSUER", ISSUER)
    monkeypatch.setenv("TIMEBANK_OIDC_AUDIENCE", "timebank")
    monkeypatch.setenv("TIMEBANK_OIDC_JWKS_FILE", "jwks.json")
    status, detail = doctor_on_tokens()
    assert (status, "No such file or directory: jwks.json" in detail) == ("wrong", True)
    (made / "jwks.json").write_bytes(orjson.dumps({"keys": [jwk(private("RS256"), "k-1")]}))
    assert doctor_on_tokens() == ("ok", f"{ISSUER} has 1 public key(s) that verify RS256")
    monkeypatch.setenv("TIMEBANK_OIDC_ALGORITHM", "ES256")
    status, detail = doctor_on_tokens()
    assert (status, "no key in it verifies ES256" in detail) == ("wrong", True)
    monkeypatch.delenv("TIMEBANK_OIDC_JWKS_FILE")
    monkeypatch.setenv("TIMEBANK_OIDC_ISSUER", "http://127.0.0.1:1")
    assert doctor_on_tokens()[0] == "wrong"


def test_a_server_says_in_its_log_why_a_token_is_refused_and_never_which(made):
    """The whole program, with the issuer's keys in a file: in with a token, out without."""
    (made / "jwks.json").write_bytes(orjson.dumps({"keys": [jwk(private("RS256"), "k-1")]}))
    said = {
        "TIMEBANK_OIDC_ISSUER": ISSUER,
        "TIMEBANK_OIDC_AUDIENCE": "timebank",
        "TIMEBANK_OIDC_JWKS_FILE": "jwks.json",
        "TIMEBANK_LOG_FORMAT": "json",
    }
    timebank(f"key create --role auditor --actor A --subject s-1 --issuer {ISSUER}")
    now = int(time.time())
    head = {"alg": "RS256", "typ": "at+jwt", "kid": "k-1"}
    claims = {"iss": ISSUER, "aud": "timebank", "sub": "s-1", "exp": now + 600}
    good = token(private("RS256"), head, claims)
    late = token(private("RS256"), head, claims | {"exp": now - 600})
    serving = started("serve --port 0 --json", made, **said)
    assert serving.stdout
    address = orjson.loads(serving.stdout.readline())["address"]
    answers = []
    for shown in (good, late):
        asked = Request(f"{address}/v1/units", headers={"Authorization": f"Bearer {shown}"})  # noqa: S310
        try:
            with urlopen(asked, timeout=60) as answer:  # noqa: S310
                answers.append(answer.status)
        except HTTPError as no:
            answers.append(no.code)
            no.close()
    serving.terminate()
    _, log = serving.communicate(timeout=60)
    assert (answers, serving.returncode) == ([200, 401], 0)
    assert '"why":"expired"' in log
    for shown in (good, late):
        assert not any(part in log for part in shown.split("."))
    (key,) = [key for key in keys().values() if key["subject"] == "s-1"]
    assert key["last_used_at"]  # written as the server stopped
