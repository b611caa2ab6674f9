"""API keys from the command line."""

import re

import pytest

from ledger.keys import ROLES
from ledger.units import new_id
from scripts import api_keys
from scripts.printing import Exit
from tests.scripts.typed import timebank

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


def test_the_roles_are_those_of_the_ledger():
    assert api_keys.ROLES == ROLES
