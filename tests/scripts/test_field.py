"""Units and organisations from the command line."""

import pytest

from scripts.printing import Exit
from tests.scripts.typed import timebank


def test_units_and_organisations_are_added_on_both_databases(made_anywhere):
    district = timebank("unit add west --name 西海岸 --level district --json")
    assert district.json == {
        "code": "west",
        "name": "西海岸",
        "level": "district",
        "parent": None,
        "position": 1,
    }
    assert timebank("unit add lake --name 湖街 --level street --parent west").code == 0
    organisation = timebank("org add org-a --name 甲 --kind volunteer --unit lake --json")
    assert organisation.json == {
        "code": "org-a",
        "name": "甲",
        "kind": "volunteer",
        "unit": "lake",
        "status": "active",
        "position": 3,
    }
    assert timebank("audit verify --json").json["entries"] == 3


def test_an_organisation_is_suspended_with_a_reason_and_resumed(made, field):
    field()
    said = timebank("org suspend org-a --reason '年检未过' --json")
    assert (said.json["status"], said.json["position"]) == ("suspended", 4)
    assert timebank("org resume org-a --json").json["status"] == "active"
    (suspended, resumed) = timebank("audit trail --after 3 --json").json["data"]
    assert suspended["data"]["reason"] == "年检未过"
    assert (resumed["type"], resumed["actor"]) == ("OrganisationResumed", "cli")


def test_people_read_a_table(made):
    said = timebank("unit add west --name 西海岸 --level district")
    assert said.out.splitlines()[:2] == ["code      west", "name      西海岸"]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("unit add west --name X --level district", "/code: The code west is in use already."),
        ("unit add x1 --name X --level district --parent west", "A district cannot stand below"),
        ("unit add x1 --name X --level street --parent none", "/parent: "),
        ("unit add x1 --name 13812345678 --level street", "/name: A text holds a mobile"),
        ("org add org-a --name A --kind studio --unit lake", "/code: The code org-a is in use"),
        ("org add org-b --name A --kind studio --unit none", "/unit: "),
        ("org suspend none --reason x", "There is no such thing"),
        ("org resume org-a", "It is active and cannot become active."),
    ],
)
def test_what_a_rule_refuses_ends_with_3_and_writes_nothing(made, field, typed, says):
    field()
    said = timebank(typed)
    assert said.code == Exit.REFUSED
    assert says in said.err
    assert timebank("audit verify --json").json["entries"] == 3


def test_a_suspension_without_its_reason_is_usage(made, field):
    field()
    assert timebank("org suspend org-a").code == Exit.USAGE
    assert timebank("org suspend org-a --reason ' '").code == Exit.USAGE
