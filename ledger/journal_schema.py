"""The journal's tables, and the triggers that keep entries and checkpoints append-only.

The triggers stop every statement that a program sends, `INSERT OR REPLACE`, `ON CONFLICT DO
UPDATE`, `MERGE` and the apply worker of a replica among them. They do not stop who may change the
schema or the file: an owner that disables or drops them, a superuser, a hand in the pages. Against
those stand `leaf_hash` and the checkpoints that an auditor has pinned.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

REVISION = "0004"
"""The newest migration: what `create_tables` makes is what the migrations make."""

metadata = MetaData()
_Text = Text().with_variant(Text(collation="C"), "postgresql")
_Position = BigInteger().with_variant(Integer(), "sqlite")  # SQLite's own row number
_HASH_BYTES = 32
_ID_BYTES = 16

entries = Table(
    "entries",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=False),  # dense from 1
    Column("stream", _Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("type", _Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary(_HASH_BYTES), nullable=False),
    UniqueConstraint("stream", "version", name="entries_stream_version"),
)
receipts = Table(  # derived from the entries
    "receipts",
    metadata,
    Column("organisation", _Text, primary_key=True),
    Column("receipt", _Text, primary_key=True),
    Column("record_id", LargeBinary(_ID_BYTES), nullable=False),
    sqlite_with_rowid=False,
)
record_entries = Table(  # derived: the positions of every event about one service record
    "record_entries",
    metadata,
    Column("record_id", LargeBinary(_ID_BYTES), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
shared_balances = Table(  # derived: what accounts hold that are no person's, and rules ask about
    "shared_balances",
    metadata,
    Column("account", _Text, primary_key=True),
    Column("credits", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
heard = Table(  # derived: the facts of other streams that a stream's state hears
    "heard",
    metadata,
    Column("stream", _Text, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
answers = Table(  # kept under an Idempotency-Key, and pruned
    "answers",
    metadata,
    Column("scope", _Text, primary_key=True),
    Column("key", _Text, primary_key=True),
    Column("fingerprint", LargeBinary(_HASH_BYTES), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("kept_at", _Text, nullable=False),
    Index("answers_kept_at", "kept_at"),
)
keys = Table(
    "keys",
    metadata,
    Column("id", _Text, primary_key=True),
    Column("hash", LargeBinary(_HASH_BYTES), nullable=False),
    Column("role", _Text, nullable=False),
    Column("actor", _Text, nullable=False),
    Column("organisation", _Text),
    Column("member_id", _Text),
    Column("expires_on", _Text),
    Column("created_at", _Text, nullable=False),
    Column("revoked_at", _Text),
    Column("issuer", _Text),  # of tokens that speak for it, and whom they must name
    Column("subject", _Text),
    Column("replaces", _Text),  # the key that it was rotated from
    Column("last_used_at", _Text),  # within some minutes
    Index(
        "keys_subject",
        "issuer",
        "subject",
        unique=True,
        sqlite_where=text("subject IS NOT NULL AND revoked_at IS NULL"),
        postgresql_where=text("subject IS NOT NULL AND revoked_at IS NULL"),
    ),
)
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", _Text, primary_key=True),
    Column("organisation", _Text),  # whose entries are told; none: all
    Column("url", _Text, nullable=False),
    Column("types", _Text),  # of entries, with commas between; none: all
    Column("status", _Text, nullable=False),  # active | paused | disabled
    Column("position", BigInteger, nullable=False),  # told, or a dead letter, up to here
    Column("attempts", Integer, nullable=False),  # of what comes next, so far in vain
    Column("failing_since", _Text),
    Column("next_attempt_at", _Text),
    Column("created_at", _Text, nullable=False),
    Column("created_by", _Text, nullable=False),  # a key
    sqlite_with_rowid=False,
)
webhook_attempts = Table(  # for those who look for the reason, and pruned
    "webhook_attempts",
    metadata,
    Column("id", _Text, primary_key=True),  # in order of time
    Column("webhook_id", _Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("at", _Text, nullable=False),
    Column("status", Integer),  # that was answered, if anything was
    Column("reason", _Text),  # why it failed
    Column("milliseconds", Integer, nullable=False),
    Index("webhook_attempts_of", "webhook_id", "id"),
    sqlite_with_rowid=False,
)
webhook_dead_letters = Table(  # what was given up on, until somebody asks for it again
    "webhook_dead_letters",
    metadata,
    Column("webhook_id", _Text, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("at", _Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reason", _Text, nullable=False),
    sqlite_with_rowid=False,
)
checkpoints = Table(  # the log's own word for what it was, kept for ever
    "checkpoints",
    metadata,
    Column("size", _Position, primary_key=True, autoincrement=False),  # leaves: the last position
    Column("root", LargeBinary(_HASH_BYTES), nullable=False),
    Column("key", _Text, nullable=False),  # whose signature it bears, as a verifier key
    Column("note", _Text, nullable=False),  # verbatim, as it was published
    Column("signed_at", _Text, nullable=False),
)
cosignatures = Table(  # what witnesses have signed
    "cosignatures",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("key", _Text, primary_key=True),  # the witness's verifier key
    Column("line", _Text, nullable=False),
    Column("added_at", _Text, nullable=False),
    sqlite_with_rowid=False,
)
audit_reads = Table(  # what auditors have looked at
    "audit_reads",
    metadata,
    Column("id", _Position, primary_key=True, autoincrement=False),  # dense from 1
    Column("at", _Text, nullable=False),
    Column("key_id", _Text, nullable=False),
    Column("path", _Text, nullable=False),  # with its query
    Column("request_id", _Text, nullable=False),
)
tracking = Table(  # how far each follower of the library's kind has come
    "tracking",
    metadata,
    Column("application", _Text, primary_key=True),
    Column("notification", BigInteger, nullable=False),
)

SQLITE_TRIGGERS = (
    """
CREATE TRIGGER entries_refuse_update BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END
""",
    """
CREATE TRIGGER entries_refuse_delete BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END
""",
    # INSERT OR REPLACE deletes what stands in its way and fires no trigger for that.
    """
CREATE TRIGGER entries_refuse_gap BEFORE INSERT ON entries
WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM entries)
BEGIN SELECT RAISE(ABORT, 'an entry takes the next position'); END
""",
    """
CREATE TRIGGER entries_refuse_replace BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries WHERE stream = NEW.stream AND version = NEW.version)
BEGIN SELECT RAISE(ABORT, 'this version of the stream stands already'); END
""",
)
POSTGRESQL_TRIGGERS = (
    """
CREATE FUNCTION entries_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE integrity_constraint_violation USING MESSAGE = 'entries are append-only';
END $$
""",
    """
CREATE TRIGGER entries_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
FOR EACH STATEMENT EXECUTE FUNCTION entries_refuse_change()
""",
    # The new positions are unique; so they are dense if they are without a gap and follow one.
    """
CREATE FUNCTION entries_refuse_gap() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
    lowest bigint;
    highest bigint;
    many bigint;
BEGIN
    SELECT min(position), max(position), count(*) INTO lowest, highest, many FROM appended;
    IF many > 0 AND (
        highest - lowest + 1 <> many
        OR lowest < 1
        OR (lowest > 1 AND NOT EXISTS (SELECT 1 FROM entries WHERE position = lowest - 1))
    ) THEN
        RAISE integrity_constraint_violation USING MESSAGE = 'an entry takes the next position';
    END IF;
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER entries_refuse_gap AFTER INSERT ON entries
REFERENCING NEW TABLE AS appended
FOR EACH STATEMENT EXECUTE FUNCTION entries_refuse_gap()
""",
    # They fire in a replica's session too.
    "ALTER TABLE entries ENABLE ALWAYS TRIGGER entries_refuse_change",
    "ALTER TABLE entries ENABLE ALWAYS TRIGGER entries_refuse_gap",
)
# Further tables whose rows stand for ever, and the row that a new one would replace.
APPEND_ONLY = {
    "checkpoints": "SELECT 1 FROM checkpoints WHERE size = NEW.size",
    "cosignatures": "SELECT 1 FROM cosignatures WHERE size = NEW.size AND key = NEW.key",
    "audit_reads": "SELECT 1 FROM audit_reads WHERE id = NEW.id",
}


def append_only_triggers(dialect: str) -> list[str]:
    """What keeps the rows of those tables as they were written."""
    if dialect == "postgresql":
        return [
            _REFUSE_CHANGE,
            *(
                statement
                for table in APPEND_ONLY
                for statement in (
                    f"CREATE TRIGGER {table}_refuse_change"
                    f" BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
                    " FOR EACH STATEMENT EXECUTE FUNCTION rows_refuse_change()",
                    f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_refuse_change",
                )
            ),
        ]
    return [
        statement
        for table, same in APPEND_ONLY.items()
        for statement in (
            f"CREATE TRIGGER {table}_refuse_update BEFORE UPDATE ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END",
            f"CREATE TRIGGER {table}_refuse_delete BEFORE DELETE ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END",
            f"CREATE TRIGGER {table}_refuse_replace BEFORE INSERT ON {table}"
            f" WHEN EXISTS ({same})"
            f" BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END",
        )
    ]


_REFUSE_CHANGE = """
CREATE FUNCTION rows_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE integrity_constraint_violation USING MESSAGE = TG_TABLE_NAME || ' are append-only';
END $$
"""
_REFUSED_OF_ROWS = ("update", "delete", "replace")
TRIGGERS = {
    "sqlite": [*SQLITE_TRIGGERS, *append_only_triggers("sqlite")],
    "postgresql": [*POSTGRESQL_TRIGGERS, *append_only_triggers("postgresql")],
}
TRIGGER_NAMES = {
    "sqlite": {
        "entries_refuse_update",
        "entries_refuse_delete",
        "entries_refuse_gap",
        "entries_refuse_replace",
        *(f"{table}_refuse_{what}" for table in APPEND_ONLY for what in _REFUSED_OF_ROWS),
    },
    "postgresql": {
        "entries_refuse_change",
        "entries_refuse_gap",
        *(f"{table}_refuse_change" for table in APPEND_ONLY),
    },
}


def create_tables(connection: Connection) -> None:
    """Make tables and triggers as the newest migration has them; nothing where entries stand."""
    if connection.dialect.has_table(connection, entries.name):
        return
    metadata.create_all(connection)
    for statement in TRIGGERS[connection.dialect.name]:
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
        " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    stamp = f"INSERT INTO alembic_version VALUES ('{REVISION}')"  # noqa: S608  (it is ours)
    connection.exec_driver_sql(stamp)
