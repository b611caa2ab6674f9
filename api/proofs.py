"""The transparency log over HTTP: checkpoints, tiles and proofs (C2SP tlog-tiles, RFC 6962)."""

import base64
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.call import Call
from api.contract import (
    ADMINS,
    AUDITORS,
    EVERYONE,
    Fields,
    InstantText,
    Page,
    PageQuery,
    Position,
    ReadQuery,
    Route,
    Whole,
)
from api.lists import page_of
from api.problems import FieldError, Invalid
from api.replies import Reply
from ledger import checkpoints, databases, store
from ledger.access_log import reads_after
from ledger.checkpoints import Kept
from ledger.merkle import TILE_LEVELS, TILE_WIDTH
from ledger.units import Refused
from projections import proofs, seal
from projections.views import Views

NOTE = "text/plain; charset=utf-8"
OCTETS = "application/octet-stream"


# --- checkpoints ---------------------------------------------------------------------------------


async def checkpoint(call: Call) -> web.Response:
    """The newest checkpoint: a signed note."""
    note = await call.in_thread(_newest, call)
    return Reply(200, call.headers(NOTE), note.encode())


async def list_checkpoints(call: Call) -> web.Response:
    """Every checkpoint that was signed."""
    query: CheckpointQuery = call.query
    position = call.views.position
    found, following = await call.in_thread(
        _page_of_checkpoints, call.ledger.store, query.after, query.limit
    )
    return page_of(call, found, following, position)


async def get_checkpoint(call: Call) -> web.Response:
    """The checkpoint of so many entries."""
    found = await call.in_thread(_checkpoint_at, call.ledger.store, int(call.path["size"]))
    if found is None:
        raise Refused("not_found")
    return call.answer(found)


async def signing_keys(call: Call) -> web.Response:
    """The public keys that have signed, in their turn."""
    found = await call.in_thread(_keys_in_turn, call.ledger.store)
    return call.answer({"data": found, "next_cursor": None})


def _newest(call: Call) -> str:
    kept = call.door.signer.fresh()
    with call.ledger.store.reading() as connection:
        (note,) = checkpoints.cosigned(connection, [kept])
    return str(note)


def _page_of_checkpoints(
    journal: store.Store, after: int, limit: int
) -> tuple[list[Fields], int | None]:
    with journal.reading() as connection:
        kept = checkpoints.after(connection, after, limit + 1)
        found = _told(connection, kept[:limit])
    return found, kept[limit - 1].size if len(kept) > limit else None


def _checkpoint_at(journal: store.Store, size: int) -> Fields | None:
    with journal.reading() as connection:
        kept = checkpoints.at(connection, size)
        return None if kept is None else _told(connection, [kept])[0]


def _told(connection: Connection, kept: list[Kept]) -> list[Fields]:
    notes = checkpoints.cosigned(connection, kept)
    return [
        {
            "size": each.size,
            "root": base64.b64encode(each.root).decode(),
            "signed_at": each.signed_at,
            "key": each.key,
            "note": str(note),
        }
        for each, note in zip(kept, notes, strict=True)
    ]


def _keys_in_turn(journal: store.Store) -> list[Fields]:
    with journal.reading() as connection:
        turns = checkpoints.keys_in_turn(connection)
    return [{"key": str(key), "first_size": first} for first, key in turns]


# --- tiles ---------------------------------------------------------------------------------------


async def tile(call: Call) -> web.Response:
    """Some hashes of the tree, or the entries below them."""
    level, _, rest = call.path["tile"].partition("/")
    spelled, _, width = rest.partition(".p/")
    place = int(spelled.replace("x", "").replace("/", ""))
    bundle = level == "entries"
    wanted = seal.Tile(0 if bundle else int(level), place, int(width or TILE_WIDTH))
    found = await call.in_thread(_entries if bundle else _hashes, call.views, wanted)
    if found is None or spelled != _spelled(place):
        raise Refused("not_found")
    return Reply(200, call.headers(OCTETS), found)


def _spelled(place: int) -> str:
    """A tile's place as paths have it: `x001/x234/067`."""
    groups = f"{place:,}".split(",")
    return "/".join([*(f"x{int(each):03}" for each in groups[:-1]), f"{int(groups[-1]):03}"])


def _hashes(views: Views, wanted: seal.Tile) -> bytes | None:
    with databases.reading(views.engine) as connection, views.store.reading() as journal:
        if not _is_there(connection, wanted):
            return None
        return b"".join(seal.tile(connection, wanted, seal.leaves_of(journal)))


def _entries(views: Views, wanted: seal.Tile) -> bytes | None:
    with databases.reading(views.engine) as connection, views.store.reading() as journal:
        if not _is_there(connection, wanted):
            return None
        after = wanted.place * TILE_WIDTH
        rows = store.read(journal, after, wanted.width, after + wanted.width)
    spelled = [store.entry_bytes(*row[:5]) for row in rows]
    return b"".join(len(entry).to_bytes(2) + entry for entry in spelled)


def _is_there(connection: Connection, wanted: seal.Tile) -> bool:
    """Has the tree grown so far that the tile has its width?"""
    there = seal.read_tree(connection).size >> TILE_LEVELS * wanted.level
    return wanted.place * TILE_WIDTH + wanted.width <= there


# --- proofs --------------------------------------------------------------------------------------


class InclusionQuery(ReadQuery):
    """Of which entry, in the tree of which size."""

    position: Position
    size: Annotated[Whole | None, Field(description="Default: all entries.")] = None


class ConsistencyQuery(ReadQuery):
    """From which tree to which."""

    begins: Annotated[Whole, Field(alias="from")]
    ends: Annotated[Whole | None, Field(alias="to", description="Default: all entries.")] = None


class CheckpointQuery(PageQuery):
    """Checkpoints have the order of their sizes, of which 0 may be one."""

    @property
    def after(self) -> int:
        """What the page begins behind."""
        return -1 if self.cursor is None else self.cursor


async def inclusion(call: Call) -> web.Response:
    """That an entry is in the log."""
    query: InclusionQuery = call.query
    return call.answer(await call.in_thread(_inclusion, call.views, query))


async def consistency(call: Call) -> web.Response:
    """That the log only grew."""
    query: ConsistencyQuery = call.query
    return call.answer(await call.in_thread(_consistency, call.views, query))


def _inclusion(views: Views, query: InclusionQuery) -> Fields:
    with proofs.grown(views) as (journal, tree):
        try:
            return proofs.inclusion(tree, journal, query.position, query.size).told()
        except proofs.NotInTheTree as no:
            raise _not_in_the_tree(no, tree) from None


def _consistency(views: Views, query: ConsistencyQuery) -> Fields:
    with proofs.grown(views) as (_, tree):
        try:
            return proofs.consistency(tree, query.begins, query.ends).told()
        except proofs.NotInTheTree as no:
            raise _not_in_the_tree(no, tree) from None


def _not_in_the_tree(no: proofs.NotInTheTree, tree: proofs.Grown) -> Exception:
    if no.value > tree.size or no.name == "position":
        return Refused("not_found", pointer=f"/{no.name}", what=no.value)
    wanted = {"expected": "position <= size, from <= to"}
    return Invalid([FieldError(f"/{no.name}", "wrong_value", wanted, "query")])


# --- what auditors have read ---------------------------------------------------------------------


async def reads(call: Call) -> web.Response:
    """What auditors have looked at."""
    query: PageQuery = call.query
    found = await call.in_thread(reads_after, call.ledger.store, query.after, query.limit + 1)
    following = found[query.limit - 1]["id"] if len(found) > query.limit else None
    return page_of(call, found[: query.limit], following, call.views.position)


# --- answers -------------------------------------------------------------------------------------

Hash = Annotated[str, Field(description="32 bytes in base64.")]


class Checkpoint(BaseModel):
    """A checkpoint that the ledger has signed."""

    size: Annotated[int, Field(ge=0, description="Entries that it covers.")]
    root: Hash
    signed_at: InstantText
    key: Annotated[str, Field(description="Verifier key of the ledger's signature.")]
    note: Annotated[str, Field(description="The signed note, with cosignatures.")]


class CheckpointPage(Page):
    """Checkpoints, the smallest first."""

    data: list[Checkpoint]


class SigningKey(BaseModel):
    """A public key and the smallest checkpoint that it signs."""

    key: Annotated[str, Field(description="Verifier key (C2SP signed-note).")]
    first_size: int


class SigningKeyPage(Page):
    """Signing keys, in their turn."""

    data: list[SigningKey]


class Inclusion(BaseModel):
    """That a leaf is in a tree (RFC 6962, section 2.1.1)."""

    leaf: Hash
    index: Annotated[int, Field(ge=0, description="position - 1")]
    size: int
    hashes: list[Hash]
    root: Hash


class Consistency(BaseModel):
    """That one tree is how another begins (RFC 6962, section 2.1.2)."""

    begins: Annotated[int, Field(alias="from")]
    ends: Annotated[int, Field(alias="to")]
    hashes: list[Hash]


class Read(BaseModel):
    """One request of an auditor."""

    id: int
    at: InstantText
    key_id: str
    path: Annotated[str, Field(description="With its query.")]
    request_id: str


class ReadPage(Page):
    """What auditors have looked at, oldest first."""

    data: list[Read]


_COMMON: dict[str, Any] = {"method": "GET", "tag": "Proof"}

ROUTES = [
    Route(
        **_COMMON,
        path="/checkpoint",
        handler=checkpoint,
        operation="checkpoint",
        summary_zh="最新检查点（签名的 note）",
        summary_en="The newest checkpoint, a signed note (C2SP tlog-checkpoint)",
        answers={200: None},
        also=("text/plain",),
    ),
    Route(
        **_COMMON,
        path="/tile/{tile}",
        handler=tile,
        operation="get_tile",
        summary_zh="日志树的散列，或其下的记录",
        summary_en="Hashes of the log's tree, or the entries below them (C2SP tlog-tiles)",
        roles=AUDITORS,
        answers={200: None},
        also=(OCTETS,),
    ),
    Route(
        **_COMMON,
        path="/v1/audit/checkpoints",
        handler=list_checkpoints,
        operation="list_checkpoints",
        summary_zh="全部检查点",
        summary_en="Every checkpoint that was signed",
        roles=AUDITORS,
        query=CheckpointQuery,
        answers={200: CheckpointPage},
    ),
    Route(
        **_COMMON,
        path="/v1/audit/checkpoints/{size}",
        handler=get_checkpoint,
        operation="get_checkpoint",
        summary_zh="一个检查点",
        summary_en="The checkpoint of so many entries",
        roles=AUDITORS,
        answers={200: Checkpoint},
    ),
    Route(
        **_COMMON,
        path="/v1/audit/signing-keys",
        handler=signing_keys,
        operation="list_signing_keys",
        summary_zh="检查点的公钥，按先后次序",
        summary_en="The public keys of the checkpoints, in their turn",
        roles=EVERYONE,
        answers={200: SigningKeyPage},
    ),
    Route(
        **_COMMON,
        path="/v1/audit/proofs/inclusion",
        handler=inclusion,
        operation="prove_inclusion",
        summary_zh="证明一条记录在日志之中",
        summary_en="That an entry is in the log",
        roles=AUDITORS,
        query=InclusionQuery,
        answers={200: Inclusion},
    ),
    Route(
        **_COMMON,
        path="/v1/audit/proofs/consistency",
        handler=consistency,
        operation="prove_consistency",
        summary_zh="证明日志只增不改",
        summary_en="That the log only grew",
        roles=AUDITORS,
        query=ConsistencyQuery,
        answers={200: Consistency},
    ),
    Route(
        **_COMMON,
        path="/v1/audit/reads",
        handler=reads,
        operation="list_audit_reads",
        summary_zh="审计员的查阅记录",
        summary_en="What auditors have looked at",
        roles=ADMINS,
        query=PageQuery,
        answers={200: ReadPage},
    ),
]
