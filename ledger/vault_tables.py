"""The vault's tables: people, their sealed fields, and the digests that lead to them."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

from ledger.sealing import DIGEST_BYTES, NONCE_BYTES

FORMAT = 1

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
    Column(
        "scope", _Text, primary_key=True
    ),  # the organisation of an external_ref; document: empty
    Column("digest", LargeBinary(DIGEST_BYTES), primary_key=True),
    Column("member_id", _Text, nullable=False, index=True),
    sqlite_with_rowid=False,
)
