"""Keys that say what they replace and when they were used; webhooks and how they fare."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Widen the table of keys, make those of webhooks."""
    recreate = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("keys", recreate=recreate) as keys:  # type: ignore[arg-type]
        for name in ("issuer", "subject", "replaces", "last_used_at"):
            keys.add_column(sa.Column(name, _text))
    there = sa.text("subject IS NOT NULL AND revoked_at IS NULL")
    op.create_index(
        "keys_subject",
        "keys",
        ["issuer", "subject"],
        unique=True,
        sqlite_where=there,
        postgresql_where=there,
    )
    op.create_table(
        "webhooks",
        sa.Column("id", _text, primary_key=True),
        sa.Column("organisation", _text),
        sa.Column("url", _text, nullable=False),
        sa.Column("types", _text),
        sa.Column("status", _text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failing_since", _text),
        sa.Column("next_attempt_at", _text),
        sa.Column("created_at", _text, nullable=False),
        sa.Column("created_by", _text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("id", _text, primary_key=True),
        sa.Column("webhook_id", _text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("at", _text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("reason", _text),
        sa.Column("milliseconds", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("webhook_attempts_of", "webhook_attempts", ["webhook_id", "id"])
    op.create_table(
        "webhook_dead_letters",
        sa.Column("webhook_id", _text, primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", _text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reason", _text, nullable=False),
        sqlite_with_rowid=False,
    )
