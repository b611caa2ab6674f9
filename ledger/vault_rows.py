"""The vault's rows: people, their sealed fields, and the digests that lead to them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

import orjson
from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    delete,
    select,
    text,
)

from ledger.personal_data import DEFAULT_DOCUMENT_KIND, PERSON_FIELDS, Person, normalise
from ledger.sealing import DIGEST_BYTES, NONCE_BYTES, PersonKey, Sealing

LookupKind = Literal["external_ref", "document"]
Status = Literal["pending", "active", "erased"]
FORMAT = 1
REVISION = "0002"
"""The newest migration of the vault's schema."""

_Item = TypeVar("_Item")
_ASKED_AT_ONCE = 500  # digests in one query; SQLite takes 32 766 parameters, plans stay small

metadata = MetaData()
_Text = Text().with_variant(Text(collation="C"), "postgresql")

vault = Table(
    "vault",  # one row
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("format", Integer, nullable=False),
    Column("key_check", LargeBinary(DIGEST_BYTES), nullable=False),
    Column("erasures", Integer, nullable=False),  # how many there were; a look-up may outlive none
)
people = Table(
    "people",
    metadata,
    Column("member_id", _Text, primary_key=True),
    Column("status", _Text, nullable=False),
    Column("home_organisation", _Text, nullable=False),
    Column("wrapped_key", LargeBinary),  # gone once erased
    Column("created_at", _Text, nullable=False),
    CheckConstraint("status IN ('pending', 'active', 'erased')", name="status_known"),
    CheckConstraint("(wrapped_key IS NULL) = (status = 'erased')", name="erased_without_key"),
    Index(
        "people_pending",
        "created_at",
        sqlite_where=text("status = 'pending'"),
        postgresql_where=text("status = 'pending'"),
    ),
    sqlite_with_rowid=False,
)
fields = Table(
    "fields",
    metadata,
    Column("member_id", _Text, primary_key=True),
    Column("field", _Text, primary_key=True),  # of Person, or external_ref:<organisation>
    Column("nonce", LargeBinary(NONCE_BYTES), nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
lookups = Table(
    "lookups",
    metadata,
    Column("kind", _Text, primary_key=True),  # external_ref | document
    Column("scope", _Text, primary_key=True),  # an external_ref's organisation; document: empty
    Column("digest", LargeBinary(DIGEST_BYTES), primary_key=True),
    Column("member_id", _Text, nullable=False, index=True),
    sqlite_with_rowid=False,
)
webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("webhook_id", _Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # under the vault's key
    Column("previous", LargeBinary),  # signs beside it until then
    Column("previous_until", _Text),
    sqlite_with_rowid=False,
)


class Known(NamedTuple):
    """Whose a reference or document is."""

    member_id: str
    status: Status
    home_organisation: str
    created_at: str
    by: LookupKind | None = None  # what led to them; None: asked for by id, or begun just now


class Lookup(NamedTuple):
    """What leads to a person: the keyed digest of a reference or a document."""

    kind: LookupKind
    scope: str
    digest: bytes


KNOWN_COLUMNS = (
    people.c.member_id,
    people.c.status,
    people.c.home_organisation,
    people.c.created_at,
)


def known_by(db: Connection, wanted: Iterable[Lookup]) -> dict[Lookup, Known]:
    """Those of the look-ups that lead to someone, a query for each kind, scope and 500 digests."""
    digests: dict[tuple[LookupKind, str], list[bytes]] = {}
    for kind, scope, digest in wanted:
        digests.setdefault((kind, scope), []).append(digest)
    found: dict[Lookup, Known] = {}
    for (kind, scope), asked in digests.items():
        for some in slices(asked):
            rows = db.execute(
                select(lookups.c.digest, *KNOWN_COLUMNS)
                .join(people, people.c.member_id == lookups.c.member_id)
                .where(lookups.c.kind == kind, lookups.c.scope == scope, lookups.c.digest.in_(some))
            )
            for digest, *known in rows:
                found[Lookup(kind, scope, digest)] = Known(*known)
    return found


def first_known(known: Mapping[Lookup, Known], wanted: Iterable[Lookup]) -> Known | None:
    """Whom the first of the look-ups that leads to someone leads to."""
    for lookup in wanted:
        if there := known.get(lookup):
            return there._replace(by=lookup.kind)
    return None


def delete_rows(db: Connection, member_id: str) -> None:
    """Take away what is sealed about a member and what leads to them."""
    db.execute(delete(fields).where(fields.c.member_id == member_id))
    db.execute(delete(lookups).where(lookups.c.member_id == member_id))


def open_fields(db: Connection, member_id: str, key: PersonKey) -> dict[str, str]:
    """What is sealed about a member, by field."""
    rows = db.execute(
        select(fields.c.field, fields.c.nonce, fields.c.ciphertext).where(
            fields.c.member_id == member_id
        )
    )
    return {name: key.open(name, nonce, ciphertext) for name, nonce, ciphertext in rows}


def open_many(
    db: Connection, keys: Mapping[str, PersonKey], names: Sequence[str] | None = None
) -> dict[str, dict[str, str]]:
    """What is sealed about some members, by member and field; of some fields, or of all."""
    wanted = select(fields)
    if names is not None:
        wanted = wanted.where(fields.c.field.in_(names))
    found: dict[str, dict[str, str]] = {}
    for some in slices(list(keys)):
        rows = db.execute(wanted.where(fields.c.member_id.in_(some)))
        for id, name, nonce, ciphertext in rows:
            found.setdefault(id, {})[name] = keys[id].open(name, nonce, ciphertext)
    return found


def sealed_rows(
    member_id: str, key: PersonKey, texts: Mapping[str, str]
) -> list[dict[str, object]]:
    """Rows of `fields` that hold these texts by field, each sealed anew."""
    rows: list[dict[str, object]] = []
    for name, value in texts.items():
        nonce, ciphertext = key.seal(name, value)
        rows.append(
            {"member_id": member_id, "field": name, "nonce": nonce, "ciphertext": ciphertext}
        )
    return rows


def ref_lookup(sealing: Sealing, organisation: str, external_ref: str) -> Lookup:
    """What leads to whom an organisation calls so."""
    ref = normalise("external_ref", external_ref)
    return Lookup("external_ref", organisation, sealing.digest("external_ref", organisation, ref))


def document_lookups(sealing: Sealing, person: Person) -> list[Lookup]:
    """What leads to the bearer of a document: none or one; `person` is normalised."""
    if person.document_number is None:
        return []
    kind = person.document_kind or DEFAULT_DOCUMENT_KIND
    return [Lookup("document", "", sealing.digest("document", kind, person.document_number))]


def lookup_row(member_id: str, lookup: Lookup) -> dict[str, object]:
    return {**lookup._asdict(), "member_id": member_id}


def person_of(texts: Mapping[str, str]) -> Person:
    """The person, out of what is sealed about a member."""
    return Person(**{name: text for name, text in texts.items() if name in PERSON_FIELDS})


_REF_FIELD = "external_ref:"


def ref_field(organisation: str) -> str:
    return _REF_FIELD + organisation


def refs_text(refs: list[str]) -> str:
    return orjson.dumps(refs).decode()


def refs_of(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """The references by organisation, out of what is sealed about a member."""
    return {
        name.removeprefix(_REF_FIELD): orjson.loads(text)
        for name, text in texts.items()
        if name.startswith(_REF_FIELD)
    }


def slices(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items, as many at a time as one query asks for."""
    for start in range(0, len(items), _ASKED_AT_ONCE):
        yield items[start : start + _ASKED_AT_ONCE]
