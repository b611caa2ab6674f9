"""The directory: units, organisations and members as they stand, and who knows whom."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from ledger.databases import reading
from ledger.events import (
    MemberChanged,
    MemberJoined,
    OrganisationAdded,
    OrganisationResumed,
    OrganisationSuspended,
)
from ledger.store import Store
from projections import directory
from projections.views import Views
from tests.projections.history import LI, ZHANG, facts_of, field, number, write

FIELD = field(ZHANG, LI)
FACTS = [
    *FIELD,
    OrganisationSuspended(code="org-a", reason="审计"),
    OrganisationAdded(code="org-c", name="高校", kind="university", unit="west"),
    OrganisationSuspended(code="org-c", reason="审计"),
    OrganisationResumed(code="org-c"),
    MemberJoined(member_id=LI, organisation="org-b", consent_ref="c-1"),
    MemberChanged(member_id=ZHANG, organisation="org-a", roles=("resident", "grid_worker")),
    MemberChanged(member_id=ZHANG, organisation="org-a", unit="west"),
    MemberChanged(member_id=LI, organisation="org-a", person=True),
]


@pytest.fixture
def connection(store: Store, views: Views) -> Iterator[Connection]:
    """The views after a field that has changed since."""
    write(store, FACTS)
    views.catch_up()
    with reading(views.engine) as connection:
        yield connection


def test_units_stand_in_the_tree(connection: Connection, store: Store) -> None:
    assert directory.unit(connection, "lake") == {
        "code": "lake",
        "name": "湖街",
        "level": "street",
        "parent": "west",
        "recorded_at": facts_of(store)[1].event.recorded_at,
        "position": 2,
    }
    assert directory.unit(connection, "nowhere") is None
    page = directory.units_listed(connection, limit=2)
    assert [unit["code"] for unit in page.items] == ["west", "lake"]
    assert page.next == 2
    rest = directory.units_listed(connection, page.next)
    assert [unit["code"] for unit in rest.items] == ["east"]
    assert rest.next is None


def test_an_organisation_is_active_or_suspended(connection: Connection, store: Store) -> None:
    assert directory.organisation(connection, "org-a") == {
        "code": "org-a",
        "name": "红马甲",
        "kind": "volunteer",
        "unit": "lake",
        "status": "suspended",
        "recorded_at": facts_of(store)[3].event.recorded_at,
        "position": len(FIELD) + 1,
    }
    listed = directory.organisations_listed(connection).items
    assert [(one["code"], one["status"]) for one in listed] == [
        ("org-a", "suspended"),
        ("org-b", "active"),
        ("org-c", "active"),
    ]
    assert directory.organisations_listed(connection, code="org-b").items == [listed[1]]
    assert directory.organisation(connection, "org-x") is None


def test_a_member_has_the_latest_roles_and_unit(connection: Connection, store: Store) -> None:
    assert directory.member(connection, ZHANG) == {
        "id": ZHANG,
        "roles": ["resident", "grid_worker"],
        "unit": "west",
        "home_organisation": "org-a",
        "organisations": ["org-a"],
        "age_band": None,
        "erased_at": None,
        "recorded_at": facts_of(store)[5].event.recorded_at,
        "position": len(FIELD) + 7,
    }
    assert directory.member(connection, number(77)) is None


def test_a_member_is_known_to_every_organisation_that_joined(connection: Connection) -> None:
    member = directory.member(connection, LI)
    assert member is not None
    assert member["organisations"] == ["org-a", "org-b"]
    assert member["position"] == len(FACTS)


def test_an_organisation_lists_those_whom_it_knows(connection: Connection) -> None:
    everybody = directory.members_listed(connection).items
    assert [member["id"] for member in everybody] == [ZHANG, LI]
    assert directory.members_listed(connection, organisation="org-b").items == [everybody[1]]
    page = directory.members_listed(connection, limit=1, organisation="org-a")
    assert page.items == [everybody[0]]
    assert page.next is not None
    rest = directory.members_listed(connection, page.next, organisation="org-a")
    assert rest == ([everybody[1]], None)
