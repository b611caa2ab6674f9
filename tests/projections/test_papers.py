"""Papers in the views: the same rows however the journal is cut into pages, and by the stream."""

import pytest

from ledger.databases import reading
from ledger.events import (
    CertificationRevoked,
    CertificationSubmitted,
    CertificationVerified,
    CredentialIssued,
    CredentialRevoked,
    Event,
    StatementIssued,
    StatementRevoked,
    StatementSuperseded,
)
from ledger.store import Store
from projections import trail
from projections import views as loop
from projections.papers import issued
from projections.papers.issued import CREDENTIALS, STATEMENTS
from projections.views import Views
from tests.projections.history import LI, ZHANG, field, number, write

SERVICE = ("陪伴就医", "elderly", "2026-01-10", "2026-01-12", 2, 150, 30)
CERTIFICATES = [number(n) for n in (701, 702)]


def stated(place: int, member: str = ZHANG, by: str = "org-a") -> StatementIssued:
    return StatementIssued(
        number=f"ST-{place:04}",
        member_id=member,
        organisation=by,
        title_zh="平台服务记录",
        title_en="Platform service statement",
        served_from="2026-01-01",
        served_to="2026-01-31",
        issued_on="2026-03-01",
        minutes=150,
        late_minutes=30,
        records=2,
        activities=(SERVICE,),
        pending_records=1,
        pending_minutes=60,
        code_digest="d" * 64,
        policy_version=1,
    )


def of(fact: StatementIssued) -> dict[str, str]:
    return {
        "number": fact.number,
        "member_id": fact.member_id,
        "organisation": fact.organisation,
    }


def certified(id: str, place: int) -> list[Event]:
    about = {"certification_id": id, "member_id": ZHANG, "organisation": "org-a"}
    return [
        CertificationSubmitted(
            **about, level="assistant", certificate_ref="C-1", obtained_on="2025-08-20"
        ),
        CertificationVerified(
            **about,
            level="assistant",
            source="certificate",
            points=0,
            on="2025-08-20",
            worth=100,
            policy_version=1,
        ),
        CredentialIssued(
            **about,
            number=f"CR-{place:04}",
            level="assistant",
            obtained_on="2025-08-20",
            issued_on="2026-03-01",
        ),
    ]


def past() -> list[Event]:
    first, second, third, fourth = (
        stated(1),
        stated(2, LI),
        stated(3, by="org-b"),
        stated(4),
    )
    revoked = CredentialRevoked(
        number="CR-0002", member_id=ZHANG, organisation="org-a", reason="有误"
    )
    return [
        *field(ZHANG, LI),
        *(first, second, third),
        StatementSuperseded(**of(first), record_id=number(1_001)),
        StatementRevoked(**of(third), reason="误发"),
        fourth,
        *certified(CERTIFICATES[0], 1),
        *certified(CERTIFICATES[1], 2),
        revoked,
        CertificationRevoked(
            certification_id=CERTIFICATES[0],
            member_id=ZHANG,
            organisation="org-a",
            source="certificate",
            points=0,
            on="2026-02-01",
            effective_on="2026-02-01",
            reason="无效",
        ),
    ]


@pytest.mark.parametrize("page", [1, 2, 3, 500])
def test_papers_stand_as_they_were_last_told(
    store: Store, views: Views, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(loop, "PAGE", page)
    write(store, past())
    views.catch_up()
    with reading(views.engine) as db:
        papers = issued.listing(db, STATEMENTS).items
        assert [(each["number"], each["status"]) for each in papers] == [
            ("ST-0001", "superseded"),
            ("ST-0002", "valid"),
            ("ST-0003", "revoked"),
            ("ST-0004", "valid"),
        ]
        assert papers[0]["superseded_by"] == number(1_001)
        assert papers[2]["reason"] == "误发"
        mine = issued.listing(db, STATEMENTS, member_id=ZHANG, organisation="org-a")
        assert [each["number"] for each in mine.items] == ["ST-0001", "ST-0004"]
        valid = issued.listing(db, STATEMENTS, status="valid", limit=1)
        assert [each["number"] for each in valid.items] == ["ST-0002"]
        assert valid.next is not None
        held = issued.listing(db, CREDENTIALS).items
        assert [(each["status"], each["reason"]) for each in held] == [
            ("revoked", "无效"),
            ("revoked", "有误"),
        ]
        one = issued.listing(db, CREDENTIALS, certification_id=CERTIFICATES[1])
        assert [each["number"] for each in one.items] == ["CR-0002"]


def test_a_paper_is_found_by_who_may_see_it(store: Store, views: Views) -> None:
    write(store, past())
    views.catch_up()
    with reading(views.engine) as db:
        assert issued.find(db, STATEMENTS, "ST-0001").member_id == ZHANG
        assert issued.find(db, STATEMENTS, "ST-0001", "org-b") is None
        assert issued.find(db, STATEMENTS, "ST-0001", None, LI) is None
        assert issued.find(db, STATEMENTS, "ST-0009") is None
        row = issued.find(db, STATEMENTS, "ST-0002", "org-a", LI)
        paper = STATEMENTS.paper(row, "leaf")
        assert (paper.minutes, paper.activities[0]) == (150, SERVICE)
        assert paper.left_out == (1, 60, 0, 0)
        row = issued.find(db, CREDENTIALS, "CR-0001")
        assert CREDENTIALS.paper(row, "leaf").status == "revoked"


def test_papers_without_force_are_told_for_each_issuer_and_range(
    store: Store, views: Views
) -> None:
    write(store, past())
    views.catch_up()
    with reading(views.engine) as db:
        whole = dict(issued.without_force(db, "org-a", 0, 100))
        first = min(whole)
        assert sorted(whole.values()) == ["revoked", "revoked", "superseded"]
        assert whole[first] == "superseded"
        assert dict(issued.without_force(db, "org-a", first + 1, 100)) == {
            place: said for place, said in whole.items() if place != first
        }
        assert list(dict(issued.without_force(db, "org-b", 0, 100)).values()) == ["revoked"]


def test_the_stream_of_a_paper_tells_all_of_it(store: Store, views: Views) -> None:
    write(store, past())
    views.catch_up()
    with reading(views.engine) as db:
        told = trail.entries(db, stream="statement:ST-0001").items
        assert [each["type"] for each in told] == ["StatementIssued", "StatementSuperseded"]
        told = trail.entries(db, stream="credential:CR-0002").items
        assert [each["type"] for each in told] == ["CredentialIssued", "CredentialRevoked"]
