"""The journal's first tables, with the triggers that keep its entries append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "entries",
        sa.Column("position", _position, primary_key=True, autoincrement=False),
        sa.Column("stream", _text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("type", _text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(32), nullable=False),
        sa.UniqueConstraint("stream", "version", name="entries_stream_version"),
    )
    op.create_table(
        "receipts",
        sa.Column("organisation", _text, primary_key=True),
        sa.Column("receipt", _text, primary_key=True),
        sa.Column("record_id", sa.LargeBinary(16), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "record_entries",
        sa.Column("record_id", sa.LargeBinary(16), primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "answers",
        sa.Column("scope", _text, primary_key=True),
        sa.Column("key", _text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("kept_at", _text, nullable=False),
    )
    op.create_index("answers_kept_at", "answers", ["kept_at"])
    op.create_table(
        "keys",
        sa.Column("id", _text, primary_key=True),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("role", _text, nullable=False),
        sa.Column("actor", _text, nullable=False),
        sa.Column("organisation", _text),
        sa.Column("member_id", _text),
        sa.Column("expires_on", _text),
        sa.Column("created_at", _text, nullable=False),
        sa.Column("revoked_at", _text),
    )
    op.create_table(
        "tracking",
        sa.Column("application", _text, primary_key=True),
        sa.Column("notification", sa.BigInteger, nullable=False),
    )
    triggers = _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL
    for statement in triggers:
        op.get_bind().exec_driver_sql(statement)


_SQLITE = (
    """
CREATE TRIGGER entries_refuse_update BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END
""",
    """
CREATE TRIGGER entries_refuse_delete BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END
""",
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
_POSTGRESQL = (
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
    "ALTER TABLE entries ENABLE ALWAYS TRIGGER entries_refuse_change",
    "ALTER TABLE entries ENABLE ALWAYS TRIGGER entries_refuse_gap",
)
