"""The balances of shared accounts; no entry of the first revision has moved any of them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "shared_balances",
        sa.Column("account", _text, primary_key=True),
        sa.Column("credits", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
