"""The field's work in the views: events in, rows out, the same read on, cut, or built anew."""

from typing import Any

import pytest
from sqlalchemy import Table, select

from ledger.databases import reading
from ledger.events import (
    AgreementAmended,
    AgreementEnded,
    AgreementSigned,
    ConversionAdvanced,
    ConversionBegun,
    ConversionWithdrawn,
    Event,
    ExpertEnded,
    ExpertNamed,
    MeetingHeld,
    PartnerAdded,
    PartnerEnded,
    ProgrammeClosed,
    ProgrammeCompleted,
    ProgrammeEnrolled,
    ProgrammeOpened,
    ProjectAdvanced,
    ProjectBegun,
    ProjectWithdrawn,
    Resolution,
    ResolutionClosed,
    TargetSet,
    TargetWithdrawn,
)
from ledger.store import Store
from projections import field_shelves, kept_rows, schema, shelves
from projections import views as loop
from projections.replay import replay
from projections.views import Views
from tests.projections.history import LI, ZHANG, field, number, write

PROJECT, CONVERSION, AGREEMENT, MEETING = (number(n) for n in (811, 812, 813, 814))
PROGRAMME, TARGET, PARTNER, EXPERT = (number(n) for n in (815, 816, 817, 818))
OWN = {"organisation": "org-a"}
PAPER, OTHER_PAPER = "ab" * 32, "0c" * 32

HISTORY: list[Event] = [
    *field(ZHANG, LI),  # to position 7
    ProgrammeOpened(
        **OWN,
        programme_id=PROGRAMME,
        name="督导能力提升",
        unit="west",
        first="2026-01-01",
        last="2026-12-31",
        tags=("1+6+N:6", "12345:3"),
    ),  # 8
    ProgrammeEnrolled(**OWN, programme_id=PROGRAMME, member_id=ZHANG, on="2026-01-15"),  # 9
    ProjectBegun(
        **OWN,
        project_id=PROJECT,
        title="互助养老",
        unit="lake",
        category="elderly",
        on="2026-01-05",
        programme_id=PROGRAMME,
        tags=("12345:3",),
    ),  # 10
    ProjectAdvanced(**OWN, project_id=PROJECT, stage="design", on="2026-01-06", ref="方案"),  # 11
    ProjectAdvanced(**OWN, project_id=PROJECT, stage="implementation", on="2026-01-07"),  # 12
    ProjectAdvanced(**OWN, project_id=PROJECT, stage="incubated", on="2026-01-08"),  # 13
    ProgrammeEnrolled(**OWN, programme_id=PROGRAMME, member_id=LI, on="2026-01-16"),  # 14
    ProgrammeCompleted(**OWN, programme_id=PROGRAMME, member_id=ZHANG, on="2026-02-20"),  # 15
    ConversionBegun(
        **OWN,
        conversion_id=CONVERSION,
        unit="lake",
        category="elderly",
        supervisor_id=ZHANG,
        on="2026-01-10",
        ref="督导-8",
    ),  # 16
    ConversionAdvanced(
        **OWN, conversion_id=CONVERSION, stage="training", on="2026-01-20", ref="培训"
    ),  # 17
    ConversionAdvanced(
        **OWN, conversion_id=CONVERSION, stage="redesign", on="2026-01-30", ref="流程"
    ),  # 18
    AgreementSigned(
        **OWN,
        agreement_id=AGREEMENT,
        unit="lake",
        agency="org-b",
        version="2026-1",
        hash=PAPER,
        first="2026-01-01",
        last="2026-12-31",
    ),  # 19
    AgreementAmended(
        **OWN, agreement_id=AGREEMENT, version="2026-2", hash=OTHER_PAPER, last="2027-06-30"
    ),  # 20
    MeetingHeld(
        **OWN,
        meeting_id=MEETING,
        unit="lake",
        on="2026-02-01",
        topic="高空抛物",
        participants=("org-a", "org-b"),
        resolutions=(
            Resolution(text="装监控", responsible="物业", due_on="2026-04-01"),
            Resolution(text="宣传", responsible="社区"),
        ),
    ),  # 21
    ResolutionClosed(**OWN, meeting_id=MEETING, number=2, on="2026-02-10", ref="照片"),  # 22
    TargetSet(target_id=TARGET, kpi="cases", value=30, due_on="2026-12-31"),  # 23
    PartnerAdded(
        **OWN, partner_id=PARTNER, name="湖畔基地", kind="base", unit="lake", first="2026-01-01"
    ),  # 24
    ExpertNamed(
        **OWN,
        expert_id=EXPERT,
        member_id=LI,
        speciality="老年社会工作",
        unit="west",
        first="2026-01-01",
        last="2026-12-31",
    ),  # 25
    ProjectAdvanced(**OWN, project_id=PROJECT, stage="promoted", on="2026-01-09"),  # 26
    ConversionWithdrawn(**OWN, conversion_id=CONVERSION, reason="重复"),  # 27
    AgreementEnded(**OWN, agreement_id=AGREEMENT, last="2026-02-28", reason="协商"),  # 28
    ResolutionClosed(**OWN, meeting_id=MEETING, number=1, on="2026-02-20", ref="发票"),  # 29
    TargetWithdrawn(target_id=TARGET, reason="口径"),  # 30
    PartnerEnded(**OWN, partner_id=PARTNER, last="2026-02-28"),  # 31
    ExpertEnded(**OWN, expert_id=EXPERT, member_id=LI, last="2026-02-28", reason="调离"),  # 32
    ProgrammeClosed(**OWN, programme_id=PROGRAMME, last="2026-02-28", reason="任务完成"),  # 33
    ProjectBegun(
        **OWN, project_id=number(819), title="二", unit="lake", category="c", on="2026-02-01"
    ),  # 34
    ProjectWithdrawn(**OWN, project_id=number(819), reason="并入"),  # 35
]

ROWS: dict[Table, dict[str, Any]] = {
    schema.projects: {
        "position": 10,
        "stage": "promoted",
        "status": "active",
        "incubated_position": 13,
        "promoted_position": 26,
        "withdrawn_position": None,
        "changed_position": 26,
    },
    schema.conversions: {
        "position": 16,
        "stage": "redesign",
        "status": "withdrawn",
        "done_position": 18,
        "withdrawn_position": 27,
        "changed_position": 27,
    },
    schema.agreements: {
        "position": 19,
        "version": "2026-2",
        "hash": OTHER_PAPER,
        "first": "2026-01-01",
        "planned_last": "2027-06-30",
        "last": "2026-02-28",
        "ended_position": 28,
    },
    schema.meetings: {"position": 21, "status": "closed", "changed_position": 29},
    schema.programmes: {
        "position": 8,
        "status": "closed",
        "enrolled": 2,
        "completed": 1,
        "planned_last": "2026-12-31",
        "last": "2026-02-28",
        "ended_position": 33,
    },
    schema.enrolments: {
        "position": 9,
        "programme_id": PROGRAMME,
        "enrolled_on": "2026-01-15",
        "completed_on": "2026-02-20",
        "completed_position": 15,
    },
    schema.targets: {
        "position": 23,
        "organisation": None,
        "unit": None,
        "status": "withdrawn",
        "withdrawn_position": 30,
    },
    schema.partners: {
        "position": 24,
        "planned_last": None,
        "last": "2026-02-28",
        "ended_position": 31,
        "reason": None,
    },
    schema.experts: {
        "position": 25,
        "planned_last": "2026-12-31",
        "last": "2026-02-28",
        "ended_position": 32,
        "reason": "调离",
    },
}
"""Of each table the first row, as the whole history leaves it."""


@pytest.mark.parametrize("kept", [0, 10_000])
@pytest.mark.parametrize("page", [1, 3, 500])
def test_the_rows_do_not_hang_on_pages_nor_on_memory_and_are_built_the_same(
    store: Store, views: Views, monkeypatch: pytest.MonkeyPatch, page: int, kept: int
) -> None:
    monkeypatch.setattr(loop, "PAGE", page)
    monkeypatch.setattr(kept_rows, "KEPT_MAX", kept)
    views.prepare()  # what comes now is read on, not built
    write(store, HISTORY)
    views.catch_up()
    with reading(views.engine) as connection:
        for table, expected in ROWS.items():
            row = connection.execute(select(table).order_by(table.c.position)).first()
            assert row is not None
            assert {name: row._mapping[name] for name in expected} == expected, table.name
        withdrawn = connection.execute(
            select(schema.projects.c.status, schema.projects.c.withdrawn_position).where(
                schema.projects.c.project_id == number(819)
            )
        ).one()
        assert tuple(withdrawn) == ("withdrawn", 35)
    found = replay(store, views)
    assert found.difference is None
    assert found.live == found.replayed


def test_things_are_told_without_what_is_our_own_affair(store: Store, views: Views) -> None:
    views.prepare()
    write(store, HISTORY)
    views.catch_up()
    with reading(views.engine) as connection:
        told = {
            shelf.table.name: shelves.item(connection, shelf, id)
            for shelf, id in (
                (field_shelves.PROJECTS, PROJECT),
                (field_shelves.CONVERSIONS, CONVERSION),
                (field_shelves.AGREEMENTS, AGREEMENT),
                (field_shelves.MEETINGS, MEETING),
                (field_shelves.PROGRAMMES, PROGRAMME),
                (field_shelves.TARGETS, TARGET),
                (field_shelves.PARTNERS, PARTNER),
                (field_shelves.EXPERTS, EXPERT),
            )
        }
        enrolled = field_shelves.enrolled(connection, PROGRAMME).items
        own = field_shelves.enrolled(connection, PROGRAMME, LI).items
    for item in told.values():
        assert item is not None
        assert not {name for name in item if name.endswith("_position")}
        assert "planned_last" not in item
        assert "member" not in item
    project, conversion = told["projects"], told["conversions"]
    agreement, meeting = told["agreements"], told["meetings"]
    assert project is not None
    assert project["tags"] == ["12345:3"]
    assert project["steps"][:2] == [
        {"stage": "needs_assessment", "on": "2026-01-05", "ref": None},
        {"stage": "design", "on": "2026-01-06", "ref": "方案"},
    ]
    assert project["position"] == 26
    assert conversion is not None
    assert (conversion["done"], len(conversion["steps"])) == (True, 3)
    assert agreement is not None
    assert (agreement["community"], agreement["from"], agreement["to"]) == (
        *("lake", "2026-01-01"),
        "2026-02-28",
    )
    assert meeting is not None
    assert meeting["resolutions"] == [
        {
            "number": 1,
            "text": "装监控",
            "responsible": "物业",
            "due_on": "2026-04-01",
            "status": "closed",
            "closed_on": "2026-02-20",
            "ref": "发票",
        },
        {
            "number": 2,
            "text": "宣传",
            "responsible": "社区",
            "due_on": None,
            "status": "closed",
            "closed_on": "2026-02-10",
            "ref": "照片",
        },
    ]
    expert = told["experts"]
    assert expert is not None
    assert expert["member_id"] == LI
    assert enrolled == [
        {"member_id": ZHANG, "enrolled_on": "2026-01-15", "completed_on": "2026-02-20"},
        {"member_id": LI, "enrolled_on": "2026-01-16", "completed_on": None},
    ]
    assert own == enrolled[1:]


def test_a_meeting_is_open_while_a_resolution_is(store: Store, views: Views) -> None:
    views.prepare()
    write(store, HISTORY[:22])
    views.catch_up()
    with reading(views.engine) as connection:
        meeting = shelves.item(connection, field_shelves.MEETINGS, MEETING)
    assert meeting is not None
    assert meeting["status"] == "open"
    assert meeting["open_resolutions"] == 1
    assert [one["status"] for one in meeting["resolutions"]] == ["open", "closed"]
    nothing = MeetingHeld(**OWN, meeting_id=number(820), unit="lake", on="2026-02-02", topic="例会")
    write(store, [nothing])
    views.catch_up()
    with reading(views.engine) as connection:
        meeting = shelves.item(connection, field_shelves.MEETINGS, number(820))
    assert meeting is not None
    assert (meeting["status"], meeting["resolutions"]) == ("closed", [])
    assert meeting["open_resolutions"] == 0
