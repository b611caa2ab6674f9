"""Correction requests in the views: open, then granted or declined."""

import pytest

from ledger.databases import reading
from ledger.events import CorrectionDeclined, CorrectionRequested
from ledger.store import Store
from projections import correction_requests
from projections import views as loop
from projections.views import Views
from tests.projections.history import LI, ZHANG, field, number, then_reversed, verified, write


def requested(record: int, request: int, member: str = ZHANG) -> CorrectionRequested:
    return CorrectionRequested(
        record_id=number(1_000 + record),
        member_id=member,
        organisation="org-a",
        request_id=number(2_000 + request),
        reason="服务到四点半",
    )


def declined(record: int, request: int) -> CorrectionDeclined:
    return CorrectionDeclined(
        record_id=number(1_000 + record),
        member_id=ZHANG,
        organisation="org-a",
        request_id=number(2_000 + request),
        reason="签退记录为四点",
    )


@pytest.mark.parametrize("page", [1, 500])
def test_a_request_is_open_until_it_is_granted_or_declined(
    store: Store, views: Views, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(loop, "PAGE", page)
    write(
        store,
        [
            *field(ZHANG, LI),
            *(verified(record) for record in (1, 2)),
            verified(3, LI),
            requested(1, 1),
            requested(2, 2),
            requested(3, 3, LI),
            declined(1, 1),
            then_reversed(2, request_id=number(2_002), replaced_by=number(1_004)),
        ],
    )
    views.catch_up()
    with reading(views.engine) as connection:
        found = correction_requests.listing(connection).items
        assert [(one["status"], one["decided_reason"]) for one in found] == [
            ("declined", "签退记录为四点"),
            ("granted", "录入有误"),
            ("open", None),
        ]
        assert [one["position"] for one in found] == [14, 15, 13]
        (open_one,) = correction_requests.listing(connection, status="open").items
        assert open_one["member_id"] == LI
        assert len(correction_requests.listing(connection, member_id=ZHANG).items) == 2
        assert correction_requests.listing(connection, organisation="org-b").items == []
        (of_record,) = correction_requests.listing(connection, record_id=number(1_002)).items
        assert correction_requests.correction_request(connection, of_record["id"]) == of_record
        assert correction_requests.correction_request(connection, number(9)) is None
