"""`timebank config`: what is set, and where each value comes from."""

from scripts.door import settings
from scripts.printing import Told, note, table, verb
from scripts.sayings import said


@verb()
def show() -> Told:
    """Every setting with its source; secrets are masked."""
    from ledger.settings import unread_environment

    shown = [each._asdict() for each in settings().shown()]
    for name in unread_environment():
        if name != "TIMEBANK_LANG":
            note(said("unread_setting", name=name))
    return Told({"settings": shown}, [table(("name", "value", "source"), shown)])
