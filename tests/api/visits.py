"""Visits as an organisation posts them: some days ago, on the clocks of Shanghai."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


def day(days_ago: int = 2) -> str:
    """The date so many days ago."""
    return (datetime.now(UTC).astimezone(SHANGHAI) - timedelta(days=days_ago)).date().isoformat()


def instant(clock: str, days_ago: int = 2) -> str:
    """`14:00` so many days ago, with the offset of Shanghai."""
    return f"{day(days_ago)}T{clock}:00+08:00"


def visit(
    start: str = "14:00", end: str = "16:00", *, days_ago: int = 2, **other: Any
) -> dict[str, Any]:
    """The body of a post; `member_id` or `member_ref` is among the others."""
    return {
        "receipt": f"R-{days_ago}-{start}-{end}",
        "activity": "陪伴就医",
        "category": "elderly",
        "place": "lake",
        "responsible": "staff-7",
        "started_at": instant(start, days_ago),
        "ended_at": instant(end, days_ago),
        **other,
    }
