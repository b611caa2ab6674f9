"""What is held about a person: the fields, their one spelling, and how much of each is shown.

Nothing here reaches an event, a log line or a `repr`: these values live in the vault alone.
"""

import unicodedata
from dataclasses import dataclass, fields, replace
from datetime import date

DEFAULT_DOCUMENT_KIND = "resident_id"
"""The kind of a document number that came without one."""


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """Who a member is. None: not held."""

    name: str | None = None
    document_kind: str | None = None
    document_number: str | None = None
    birth_date: str | None = None  # ISO 8601
    phone: str | None = None

    def __repr__(self) -> str:
        return f"Person(holds {', '.join(self.held()) or 'nothing'})"

    def held(self) -> dict[str, str]:
        """The fields that are held, by name."""
        values = {name: getattr(self, name) for name in PERSON_FIELDS}
        return {name: value for name, value in values.items() if value is not None}

    def normalised(self) -> "Person":
        """Each field in the one spelling it is kept and looked up in; a document has a kind."""
        spelled = Person(**{name: normalise(name, value) for name, value in self.held().items()})
        if spelled.document_number is not None and spelled.document_kind is None:
            return replace(spelled, document_kind=DEFAULT_DOCUMENT_KIND)
        return spelled

    def born_on(self) -> date | None:
        """The date of birth: as held, or out of a resident id (GB 11643-1999, digits 7 to 14)."""
        said = self.birth_date
        number = self.document_number or ""
        if said is None and self.document_kind == DEFAULT_DOCUMENT_KIND and len(number) == 18:
            said = f"{number[6:10]}-{number[10:12]}-{number[12:14]}"
        try:
            return None if said is None else date.fromisoformat(said)
        except ValueError:  # no such date, or no number of that kind
            return None

    def masked(self) -> "Person":
        """As it is shown: enough to know one's own entry again, too little to learn it."""
        return Person(**{name: mask(name, value) for name, value in self.held().items()})


PERSON_FIELDS = tuple(field.name for field in fields(Person))
TELLING_AGE = ("birth_date", "document_kind", "document_number")
"""The fields that `born_on` is read from."""


def normalise(field: str, value: str) -> str:
    """The one spelling of a field's value: NFKC (Unicode Standard Annex 15), no white space around.

    A document number is upper case without any white space or invisible character (a sheet's
    `３７０２ …1234x` is `3702…1234X`), a document kind is lower case, a phone has no white space.
    """
    spelled = _folded(value)
    match field:
        case "document_number":
            # Folded again: a mark may stand where a space did ("A´" is A, space, accent at first).
            return _folded("".join(filter(_is_visible, spelled)).upper())
        case "document_kind":
            return _folded(spelled.lower()).strip()
        case "phone":
            return _folded("".join(filter(_is_visible, spelled)))
        case _:
            return spelled.strip()


def mask(field: str, value: str) -> str:
    """What of a field's value is shown to those who may see that it is held.

    A document shows no more than half of its characters, a phone no more than its network and last
    four; of a birth date the year is shown, because age decides what a member may redeem; a
    document's kind names nobody.
    """
    match field:
        case "name":
            return _show(value, first=1 if len(value) > 1 else 0, last=0)
        case "document_number":
            shown = min(4, len(value) // 4)
            return _show(value, first=shown, last=shown)
        case "phone":
            return (
                _show(value, first=3, last=4)
                if len(value) > 10
                else _show(value, 0, min(2, len(value) // 4))
            )
        case "birth_date":
            return f"{value[:4]}-**-**"
        case "document_kind":
            return value
        case _:
            return "*" * len(value)


def _show(value: str, first: int, last: int) -> str:
    hidden = len(value) - first - last
    return value[:first] + "*" * hidden + value[first + hidden :]


def _folded(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def _is_visible(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) not in ("Cc", "Cf")
