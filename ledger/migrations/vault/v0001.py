"""The vault's first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "vault",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True),
        sa.Column("format", sa.Integer, nullable=False),
        sa.Column("key_check", sa.LargeBinary(32), nullable=False),
        sa.Column("erasures", sa.Integer, nullable=False),
    )
    op.create_table(
        "people",
        sa.Column("member_id", _text, primary_key=True),
        sa.Column("status", _text, nullable=False),
        sa.Column("home_organisation", _text, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary),
        sa.Column("created_at", _text, nullable=False),
        sa.CheckConstraint("status IN ('pending', 'active', 'erased')", name="status_known"),
        sa.CheckConstraint(
            "(wrapped_key IS NULL) = (status = 'erased')", name="erased_without_key"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "people_pending",
        "people",
        ["created_at"],
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "fields",
        sa.Column("member_id", _text, primary_key=True),
        sa.Column("field", _text, primary_key=True),
        sa.Column("nonce", sa.LargeBinary(12), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "lookups",
        sa.Column("kind", _text, primary_key=True),
        sa.Column("scope", _text, primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("member_id", _text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_lookups_member_id", "lookups", ["member_id"])
