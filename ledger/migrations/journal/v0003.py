"""Checkpoints, cosignatures, and the log of auditors' reads; all append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_POSTGRESQL = (
    """
CREATE FUNCTION rows_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE integrity_constraint_violation USING MESSAGE = TG_TABLE_NAME || ' are append-only';
END $$
""",
    *(
        statement
        for table in ("checkpoints", "cosignatures", "audit_reads")
        for statement in (
            f"CREATE TRIGGER {table}_refuse_change"
            f" BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION rows_refuse_change()",
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_refuse_change",
        )
    ),
)
_SQLITE = tuple(
    statement
    for table, same in (
        ("checkpoints", "SELECT 1 FROM checkpoints WHERE size = NEW.size"),
        ("cosignatures", "SELECT 1 FROM cosignatures WHERE size = NEW.size AND key = NEW.key"),
        ("audit_reads", "SELECT 1 FROM audit_reads WHERE id = NEW.id"),
    )
    for statement in (
        f"CREATE TRIGGER {table}_refuse_update BEFORE UPDATE ON {table}"
        f" BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END",
        f"CREATE TRIGGER {table}_refuse_delete BEFORE DELETE ON {table}"
        f" BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END",
        f"CREATE TRIGGER {table}_refuse_replace BEFORE INSERT ON {table}"
        f" WHEN EXISTS ({same})"
        f" BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END",
    )
)


def upgrade() -> None:
    """Make the tables and their triggers."""
    op.create_table(
        "checkpoints",
        sa.Column("size", _whole, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary(32), nullable=False),
        sa.Column("key", _text, nullable=False),
        sa.Column("note", _text, nullable=False),
        sa.Column("signed_at", _text, nullable=False),
    )
    op.create_table(
        "cosignatures",
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", _text, primary_key=True),
        sa.Column("line", _text, nullable=False),
        sa.Column("added_at", _text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_reads",
        sa.Column("id", _whole, primary_key=True, autoincrement=False),
        sa.Column("at", _text, nullable=False),
        sa.Column("key_id", _text, nullable=False),
        sa.Column("path", _text, nullable=False),
        sa.Column("request_id", _text, nullable=False),
    )
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)
