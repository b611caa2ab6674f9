"""A statement, a certification, and who issues them."""

from zoneinfo import ZoneInfo

from ledger.notes import SigningKey
from projections.papers.content import ActivityLine, Certification, LeftOut, Statement
from projections.papers.issuers import Issuer

SEED = bytes([7]) * 32
OLD_KEY = SigningKey("t.example/log", bytes(32))
KEY = SigningKey("t.example/log", SEED)

ISSUER = Issuer(
    base="https://t.example", code="org-a", name="甲机构", zone=ZoneInfo("Asia/Shanghai")
)
OTHER_ISSUER = Issuer(
    base="https://t.example", code="org-b", name="乙机构", zone=ZoneInfo("Asia/Shanghai")
)

_ISSUED = {
    "status": "valid",
    "organisation": "org-a",
    "organisation_name": "甲机构",
    "member_id": "0198c0de-0000-7000-8000-000000000001",
    "issued_at": "2026-04-01T08:00:00Z",
    "issued_on": "2026-04-01",
    "leaf_hash": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
}

STATEMENT = Statement(
    **_ISSUED,
    number="S-2026-0001",
    position=41,
    title={"zh": "服务记录证明", "en": "Service statement"},
    served_from="2026-01-05",
    served_to="2026-03-31",
    minutes=220,
    late_minutes=100,
    records=2,
    activities=(
        ActivityLine("助餐", "meals", "2026-01-05", "2026-01-05", 1, 120, 0),
        ActivityLine("陪诊", "escort", "2026-03-31", "2026-03-31", 1, 100, 100),
    ),
    left_out=LeftOut(1, 60, 2, 480),
)

CERTIFICATION = Certification(
    **_ISSUED,
    number="C-2026-0001",
    position=42,
    certification_id="0198c0de-0000-7000-8000-0000000000c1",
    level="senior",
    obtained_on="2025-10-01",
    in_force_from="2026-01-01",
    in_force_to="2028-12-31",
)
