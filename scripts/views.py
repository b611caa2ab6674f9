"""`timebank views`: how far the views have read, and building them anew."""

from typing import Any

from scripts.door import opened_views
from scripts.printing import Told, progress, verb


@verb()
def status() -> Told:
    """Where the views stand, and how far behind the journal that is; changes nothing."""
    from ledger.store import last_position
    from projections import schema
    from projections.views import PROJECTIONS, stored_mark

    with opened_views() as views:
        with views.store.reading() as connection:
            last = last_position(connection)
        with views.engine.connect() as connection:
            mark = stored_mark(connection)
    position = mark.position if mark else 0
    value: dict[str, Any] = {
        "position": position,
        "journal_position": last,
        "behind": last - position,
        "recorded_at": mark.recorded_at if mark and mark.position else None,
        "current": mark is not None and mark.shape == schema.SHAPE,
        "views": list(PROJECTIONS),
    }
    return Told(value)


@verb()
def rebuild() -> Told:
    """Build every view anew from the journal; readers see the old ones until it is done."""
    with opened_views() as views, progress("rebuilding") as shown:

        def heard(position: int, last: int) -> None:
            shown.total = last
            shown.to(position)

        position = views.rebuild(progress=heard)
    return Told({"position": position})
