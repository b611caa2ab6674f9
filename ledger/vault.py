"""Personal data: who a member is, sealed under a key of their own, and erasable without a trace.

The vault shares no transaction with the journal. A new member's row stands here first, `pending`
and found by nobody who posts; then `MemberRegistered` enters the journal; then the row is
`active`. Whoever repeats the same `external_ref` meets the pending row and finishes it, under the
same member id; `pending` and `everyone` show `doctor` what was left behind. Another organisation's
reference is added after its `MemberJoined`, so that no reference leads to a member whom the
organisation has not joined.

Rows hold ids, ciphertext and keyed digests, nothing that can be read without the vault key
(`sealing` says how). Where another process has changed that key, every method that needs it raises
WrongVaultKey: nothing is written under the old one, and nobody is said to be unknown who is known.
Every method may be called from any thread.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from sqlalchemy import Connection, Engine, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from ledger import databases, webhook_secrets
from ledger.personal_data import PERSON_FIELDS, TELLING_AGE, Person, normalise
from ledger.remembered import Remembered
from ledger.sealing import PersonKey, SealBroken, Sealing
from ledger.sweeping import sweep
from ledger.units import recorded_text
from ledger.vault_rotation import rewrap_all
from ledger.vault_rows import (
    FORMAT,
    KNOWN_COLUMNS,
    Known,
    Lookup,
    delete_rows,
    document_lookups,
    fields,
    first_known,
    known_by,
    lookup_row,
    lookups,
    metadata,
    open_fields,
    open_many,
    people,
    person_of,
    ref_field,
    ref_lookup,
    refs_of,
    refs_text,
    sealed_rows,
    slices,
    vault,
)

__all__ = ["Erased", "Held", "Known", "Newcomer", "Person", "Vault", "WrongVaultKey", "metadata"]


class WrongVaultKey(Exception):
    """The vault was made under another key."""


class Erased(KeyError):
    """Who the member was is held no more, and never again under this id."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Someone an organisation registers, with the id they get unless they are known already."""

    member_id: str
    external_ref: str | None = field(default=None, repr=False)
    person: Person = field(default_factory=Person)


@dataclass(frozen=True, slots=True)
class Held:
    """All that is held about one member."""

    known: Known
    person: Person
    external_refs: dict[str, list[str]] = field(repr=False)  # by organisation


class Vault:
    """The personal data behind one vault key.

    The engine is from `store.open_engine`, durable; `migrations.upgrade` has made the tables. A
    new vault takes the key, a made one refuses every other.
    """

    def __init__(
        self, engine: Engine, vault_key: bytes, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._sealing = Sealing(vault_key)
        self._remembered = Remembered(clock, self._count_erasures)
        self._take_or_check_key()

    # --- from a newcomer to a member -----------------------------------------------------------

    def begin(self, organisation: str, newcomers: Sequence[Newcomer], at: datetime) -> list[Known]:
        """Write a pending row for everyone who is new, in one commit; say of each who they are.

        An answer with the newcomer's own `member_id` is a row begun now. Any other is somebody
        known before (or earlier in `newcomers`) by this reference, or else by this document; of
        them nothing is changed.
        """
        created_at = recorded_text(at)
        asked = [(newcomer, *self._spell(organisation, newcomer)) for newcomer in newcomers]
        answers: list[Known] = []
        people_rows: list[dict[str, object]] = []
        field_rows: list[dict[str, object]] = []
        lookup_rows: list[dict[str, object]] = []
        with self._writing() as db:
            known = known_by(db, [lookup for *_, wanted in asked for lookup in wanted])
            for newcomer, sealable, wanted in asked:
                if there := first_known(known, wanted):
                    answers.append(there)
                    continue
                wrapped, key = self._sealing.new_person_key(newcomer.member_id)
                begun = Known(newcomer.member_id, "pending", organisation, created_at)
                answers.append(begun)
                people_rows.append(
                    {
                        "member_id": begun.member_id,
                        "status": begun.status,
                        "home_organisation": organisation,
                        "wrapped_key": wrapped,
                        "created_at": created_at,
                    }
                )
                field_rows += sealed_rows(begun.member_id, key, sealable)
                lookup_rows += [lookup_row(begun.member_id, lookup) for lookup in wanted]
                known.update(dict.fromkeys(wanted, begun))
            for table, rows in (
                (people, people_rows),
                (fields, field_rows),
                (lookups, lookup_rows),
            ):
                if rows:
                    db.execute(insert(table), rows)
        return answers

    def who_is(self, organisation: str, newcomers: Sequence[Newcomer]) -> list[Known | None]:
        """What `begin` would find each to be; None: new. Writes nothing."""
        wanted = [self._spell(organisation, newcomer)[1] for newcomer in newcomers]
        with self._engine.connect() as db:
            known = self._look_up(db, [lookup for each in wanted for lookup in each])
        return [first_known(known, each) for each in wanted]

    def activate(self, member_ids: Iterable[str]) -> set[str]:
        """Those of the ids that are active now: their `MemberRegistered` is in the journal."""
        ids = list(member_ids)
        active: set[str] = set()
        with self._writing() as db:
            for some in slices(ids):
                db.execute(
                    update(people)
                    .where(people.c.member_id.in_(some), people.c.status == "pending")
                    .values(status="active")
                )
                chosen = select(people.c.member_id).where(
                    people.c.member_id.in_(some), people.c.status == "active"
                )
                active.update(db.scalars(chosen))
        return active

    def drop(self, member_id: str) -> bool:
        """Take a pending row away, whose event will never come; False where none is pending."""
        pending = and_(people.c.member_id == member_id, people.c.status == "pending")
        with self._writing() as db:
            if not db.execute(delete(people).where(pending)).rowcount:
                return False
            delete_rows(db, member_id)
        return True

    def add_ref(self, organisation: str, member_id: str, external_ref: str) -> Known:
        """Let an organisation's reference lead to the member; answer whose it is.

        That is another where it was another's before: then nothing changed. An organisation that
        holds one person under two of its numbers may add both. KeyError where the member is not
        held, Erased where no more.
        """
        lookup = ref_lookup(self._sealing, organisation, external_ref)
        with self._writing() as db:
            if there := first_known(known_by(db, [lookup]), [lookup]):
                return there
            known, key = self._open_key(db, member_id)
            refs = refs_of(open_fields(db, member_id, key)).get(organisation, [])
            refs.append(normalise("external_ref", external_ref))
            name = ref_field(organisation)
            db.execute(
                delete(fields).where(fields.c.member_id == member_id, fields.c.field == name)
            )
            db.execute(insert(fields), sealed_rows(member_id, key, {name: refs_text(refs)}))
            db.execute(insert(lookups), lookup_row(member_id, lookup))
        return known

    # --- looking up ----------------------------------------------------------------------------

    def find_refs(self, organisation: str, external_refs: Iterable[str]) -> dict[str, str]:
        """The active member of each of the organisation's references, by the text as it was given.

        What was found before is answered from memory. It cannot be wrong: until an active member is
        erased, a reference leads to no other, and memory hears of any erasure within 50 ms.
        """
        wanted = {ref: ref_lookup(self._sealing, organisation, ref) for ref in external_refs}
        erasures = self._remembered.refresh()
        found = self._remembered.members(lookup.digest for lookup in wanted.values())
        if unknown := {lookup for lookup in wanted.values() if lookup.digest not in found}:
            with self._engine.connect() as db:
                known = self._look_up(db, unknown)
            active = {
                lookup.digest: there.member_id
                for lookup, there in known.items()
                if there.status == "active"
            }
            self._remembered.keep(active, erasures)
            found |= active
        return {
            ref: found[lookup.digest] for ref, lookup in wanted.items() if lookup.digest in found
        }

    def recall(self, organisation: str, external_ref: str) -> str | None:
        """The active member of a reference from memory alone, at once; None: ask `find_refs`."""
        if not self._remembered.is_fresh():
            return None
        digest = ref_lookup(self._sealing, organisation, external_ref).digest
        return self._remembered.members([digest]).get(digest)

    def find_ref(self, organisation: str, external_ref: str) -> Known | None:
        """Whose this organisation's reference is, pending or active, as the vault has it now."""
        return self._find(ref_lookup(self._sealing, organisation, external_ref))

    def find_document(self, kind: str | None, number: str) -> Known | None:
        """Whose this document is, pending or active."""
        person = Person(document_kind=kind, document_number=number).normalised()
        return self._find(*document_lookups(self._sealing, person))

    # --- reading and changing ------------------------------------------------------------------

    def read_masked(self, member_id: str) -> Person | None:
        """Who the member is, as it may be shown; None where nobody is held under this id."""
        held = self.read_in_full(member_id)
        return held.person.masked() if held else None

    def read_in_full(self, member_id: str) -> Held | None:
        """All that is held, for an admin and the member; None where nobody is under this id."""
        with self._engine.connect() as db:
            opened = self._key_if_held(db, member_id)
            if opened is None:
                return None
            known, key = opened
            texts = open_fields(db, member_id, key)
        return Held(known, person_of(texts), refs_of(texts))

    def secret_of(self, member_id: str, purpose: str) -> bytes | None:
        """32 bytes for a purpose, the same as long as the person is held; None: not held."""
        with self._engine.connect() as db:
            opened = self._key_if_held(db, member_id)
        return None if opened is None else opened[1].derived(purpose)

    def birth_dates(self, after: str = "", limit: int = 1000) -> list[tuple[str, date | None]]:
        """A page of the active members, in the order of their ids: each with the date of birth."""
        page = select(people.c.member_id, people.c.wrapped_key)
        page = page.where(people.c.member_id > after, people.c.status == "active")
        with self._engine.connect() as db:
            rows = db.execute(page.order_by(people.c.member_id).limit(limit)).all()
            try:
                keys = {id: self._sealing.unwrap(id, wrapped) for id, wrapped in rows}
            except SealBroken:
                self._check_key(db)
                raise
            held = open_many(db, keys, TELLING_AGE)
        return [(id, person_of(held.get(id, {})).born_on()) for id in keys]

    def change(self, member_id: str, changes: Mapping[str, str | None]) -> Known:
        """Hold other values in these fields of a person, None: no longer.

        Answers the member, or whose the new document is, where that is another: then nothing
        changed. KeyError where the member is not held, Erased where no more, ValueError where a
        field is not a person's.
        """
        if strange := set(changes) - set(PERSON_FIELDS):
            raise ValueError(f"no field of a person: {', '.join(sorted(strange))}")
        with self._writing() as db:
            known, key = self._open_key(db, member_id)
            before = person_of(open_fields(db, member_id, key))
            after = replace(before, **changes)
            if after.document_number is None:
                after = replace(after, document_kind=None)
            after = after.normalised()
            wanted = document_lookups(self._sealing, after)
            there = first_known(known_by(db, wanted), wanted)
            if there and there.member_id != member_id:
                return there
            of_member = fields.c.member_id == member_id
            db.execute(delete(fields).where(of_member, fields.c.field.in_(PERSON_FIELDS)))
            if after.held():
                db.execute(insert(fields), sealed_rows(member_id, key, after.held()))
            db.execute(
                delete(lookups).where(
                    lookups.c.member_id == member_id, lookups.c.kind == "document"
                )
            )
            if wanted:
                db.execute(insert(lookups), [lookup_row(member_id, lookup) for lookup in wanted])
        return known

    def erase(self, member_id: str) -> bool:
        """Destroy the member's key, fields and look-ups for ever; False where there were none.

        The row stays, so that the id is known to have been erased. Of the files of the store
        ciphertext and the wrapped key are gone after `sweep`, once for many erasures.
        """
        there = and_(people.c.member_id == member_id, people.c.status != "erased")
        with self._writing() as db:
            gone = update(people).where(there).values(status="erased", wrapped_key=None)
            if not db.execute(gone).rowcount:
                return False
            delete_rows(db, member_id)
            db.execute(update(vault).values(erasures=vault.c.erasures + 1))
            erasures = int(db.execute(select(vault.c.erasures)).scalar_one())
        self._remembered.hear(erasures)
        return True

    def sweep(self) -> bool:
        """Have what was erased leave the files too; False: a reader is in the way, ask again.

        What remains in PostgreSQL's WAL segments, and in backups, `sweeping` says.
        """
        return sweep(self._engine, "vault")

    def is_erased(self, member_id: str) -> bool:
        """Was somebody held under this id, and is no more?"""
        status = select(people.c.status).where(people.c.member_id == member_id)
        with self._engine.connect() as db:
            return db.execute(status).scalar() == "erased"

    def rotate(self, vault_key: bytes, heard: Callable[[int], None] = lambda done: None) -> int:
        """Have another vault key open everything, in one transaction; how many people it opens.

        `heard` is told after every page how many are done.
        """
        following = Sealing(vault_key)
        with self._writing() as db:
            count = rewrap_all(db, self._sealing, following, heard)
            db.execute(update(vault).values(key_check=following.key_check))
        self._sealing = following
        return count

    # --- webhooks ------------------------------------------------------------------------------

    def new_webhook_secret(self, webhook_id: str) -> bytes:
        """A fresh secret for a webhook that has none; it is told once, and signs from now on."""
        with self._writing() as db:
            return webhook_secrets.new_secret(db, self._sealing, webhook_id)

    def replace_webhook_secret(self, webhook_id: str, until: datetime) -> bytes:
        """A fresh one; the one before signs beside it until an instant. KeyError: there is none."""
        with self._writing() as db:
            return webhook_secrets.replace_secret(db, self._sealing, webhook_id, until)

    def webhook_secrets(self, webhook_id: str, at: datetime) -> list[bytes]:
        """What signs a webhook's messages at an instant, the newest first; none: nothing may."""
        with self._engine.connect() as db:
            try:
                return webhook_secrets.open_secrets(db, self._sealing, webhook_id, at)
            except SealBroken:
                self._check_key(db)
                raise

    def webhook_ids(self) -> list[str]:
        """The webhooks whose secrets are held, in the order in which they were made."""
        with self._engine.connect() as db:
            return webhook_secrets.webhook_ids(db)

    def drop_webhook_secrets(self, webhook_id: str) -> None:
        """Sign nothing more for a webhook."""
        with self._writing() as db:
            webhook_secrets.drop_secrets(db, webhook_id)

    # --- for doctor ----------------------------------------------------------------------------

    def pending(self, before: datetime) -> list[Known]:
        """The rows that were begun before an instant and are pending still, oldest first."""
        old = and_(people.c.status == "pending", people.c.created_at < recorded_text(before))
        with self._engine.connect() as db:
            rows = db.execute(select(*KNOWN_COLUMNS).where(old).order_by(people.c.created_at))
            return [Known(*row) for row in rows]

    def everyone(self, after: str = "", limit: int = 1000) -> list[Known]:
        """A page of everyone, erased ones too, in the order of their ids, after an id."""
        page = select(*KNOWN_COLUMNS).where(people.c.member_id > after)
        with self._engine.connect() as db:
            rows = db.execute(page.order_by(people.c.member_id).limit(limit))
            return [Known(*row) for row in rows]

    # --- within --------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction as the only writer, across processes: what it reads, nobody changes."""
        with databases.writing(self._engine) as db:
            if db.dialect.name == "sqlite":
                db.exec_driver_sql("PRAGMA secure_delete = ON").close()
            self._check_key(db)
            yield db

    def _check_key(self, db: Connection) -> None:
        """WrongVaultKey where another process has changed the key."""
        stated = select(vault.c.key_check)
        if db.execute(stated).scalar_one() != self._sealing.key_check:
            raise WrongVaultKey("another process has changed the vault key")

    def _take_or_check_key(self) -> None:
        """Another key would find nobody, and so register everyone a second time: refuse it."""
        row = {"id": 1, "format": FORMAT, "key_check": self._sealing.key_check, "erasures": 0}
        stated = select(vault.c.format, vault.c.key_check)
        with self._engine.connect() as db:
            said = db.execute(stated).one_or_none()
        if said is None:
            try:
                with databases.writing(self._engine) as db:
                    db.execute(insert(vault), row)
            except IntegrityError:  # another process was first: its key is the vault's
                pass
            with self._engine.connect() as db:
                said = db.execute(stated).one()
        if said.format != FORMAT:
            raise WrongVaultKey(f"the vault has format {said.format}, this program reads {FORMAT}")
        if said.key_check != self._sealing.key_check:
            raise WrongVaultKey("the vault was made under another vault key")

    def _count_erasures(self) -> int:
        with self._engine.connect() as db:
            erasures, key_check = db.execute(select(vault.c.erasures, vault.c.key_check)).one()
        if key_check != self._sealing.key_check:
            raise WrongVaultKey("another process has changed the vault key")
        return int(erasures)

    def _find(self, *wanted: Lookup) -> Known | None:
        with self._engine.connect() as db:
            return first_known(self._look_up(db, wanted), wanted)

    def _look_up(self, db: Connection, wanted: Collection[Lookup]) -> dict[Lookup, Known]:
        """As `known_by`; of whom is not found it is made sure that it was the vault's key."""
        known = known_by(db, wanted)
        if len(known) < len(set(wanted)):
            self._check_key(db)
        return known

    def _spell(self, organisation: str, newcomer: Newcomer) -> tuple[dict[str, str], list[Lookup]]:
        """What to seal about a newcomer, and what leads to them: reference, then document."""
        person = newcomer.person.normalised()
        sealable, wanted = person.held(), document_lookups(self._sealing, person)
        if newcomer.external_ref is not None:
            ref = normalise("external_ref", newcomer.external_ref)
            sealable[ref_field(organisation)] = refs_text([ref])
            wanted.insert(0, ref_lookup(self._sealing, organisation, ref))
        return sealable, wanted

    def _key_if_held(self, db: Connection, member_id: str) -> tuple[Known, PersonKey] | None:
        try:
            return self._open_key(db, member_id)
        except KeyError:
            return None
        except SealBroken:
            self._check_key(db)
            raise

    def _open_key(self, db: Connection, member_id: str) -> tuple[Known, PersonKey]:
        row = db.execute(
            select(*KNOWN_COLUMNS, people.c.wrapped_key).where(people.c.member_id == member_id)
        ).one_or_none()
        if row is None:
            raise KeyError(member_id)
        if row.wrapped_key is None:
            raise Erased(member_id)
        return Known(*row[:4]), self._sealing.unwrap(member_id, row.wrapped_key)
