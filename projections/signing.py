"""Signs the log's checkpoints: never over a history that is not the one it signed before."""

import hashlib
import logging
import os
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from logging import ERROR, WARNING
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ledger import checkpoints, databases, store
from ledger.checkpoints import Kept
from ledger.keys_file import KeysUnusable, Secrets, load_secrets
from ledger.merkle import root_at
from ledger.notes import (
    NOTE_BYTES_MAX,
    Checkpoint,
    NotANote,
    Note,
    SigningKey,
    VerifierKey,
)
from ledger.settings import Settings
from ledger.units import instant, recorded_text
from projections import seal
from projections.views import Views

log = logging.getLogger("timebank.log")

LOOKS_SECONDS = 1.0
"""How often the signer looks whether a checkpoint is due."""

ASKED_SECONDS = 1.0
"""A checkpoint so fresh is not followed by another because somebody asks for one."""

ASKED_EACH_HOUR = 120
"""So many are signed because somebody asks, whoever it is; they are kept for ever."""


class Forked(Exception):
    """The log is not the one that a checkpoint was signed over: nothing more is signed.

    `size` is the checkpoint's; whatever was altered stands at or before that position.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"the log is not the one that was signed at {size} entries")
        self.size = size


class OtherSigningKey(Exception):
    """The signing key at hand is not the one in force: `timebank key rotate-signing`."""


class _Seen(NamedTuple):
    """The tree as the views have it, and what it was at the last checkpoint."""

    size: int
    root: bytes
    before: Kept | None


class Signer:
    """Signs what the views have read; any number of processes may have one."""

    def __init__(
        self,
        views: Views,
        settings: Settings,
        secrets: Secrets,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.views = views
        self._settings = settings
        self._secrets = secrets
        self._clock = clock
        self._one = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._asked: list[datetime] = []
        self._last: Checkpoint | None = None  # that this process knows of
        self._confirmed: Kept | None = None

    @property
    def signed(self) -> int:
        """How far the last checkpoint reaches, as far as this process knows."""
        return 0 if self._last is None else self._last.size

    # -- signing -------------------------------------------------------------------------------

    def sign(self) -> Kept:
        """The checkpoint of all that the views have read; it is signed unless it stands already.

        Forked, OtherSigningKey or KeysUnusable where it cannot be.
        """
        with self._one:
            while True:
                seen = self._look()
                if seen.before is not None and seen.before.size == seen.size:
                    signed: Kept | None = seen.before
                else:
                    signed = self._keep(seen)
                if signed is not None:
                    self._confirm(signed)
                    self._last = Note.parse(signed.note).checkpoint
                    self._append_to_file()  # of an earlier one too, if that did not come so far
                    return signed

    def fresh(self) -> Kept:
        """A checkpoint for somebody who asks: a new one where the last is old, within measure."""
        with self.views.store.reading() as connection:
            kept = checkpoints.last(connection)
        now = self._clock()
        if kept is not None:
            self._confirm(kept)
            if kept.size >= self.views.position:
                return kept
            hour_ago = now.timestamp() - 3_600
            self._asked = [at for at in self._asked if at.timestamp() > hour_ago]
            young = (now - instant(kept.signed_at)).total_seconds() < ASKED_SECONDS
            if young or len(self._asked) >= ASKED_EACH_HOUR:
                return kept
        self._asked.append(now)
        try:
            return self.sign()
        except (Forked, OtherSigningKey, KeysUnusable, OSError) as no:  # or the file is away
            log.error("no checkpoint signed: %s", no)
            if kept is None:
                raise
            return kept

    def is_due(self) -> bool:
        """Has the log grown, and is the last checkpoint old enough?"""
        with self.views.store.reading() as connection:
            kept = checkpoints.last(connection)
        if kept is None:
            return True
        age = (self._clock() - instant(kept.signed_at)).total_seconds()
        every = self._settings.checkpoint_seconds
        return 0 < every <= age and kept.size < self.views.position

    def _look(self) -> _Seen:
        """The tree as it stands, once all that was signed is seen to be its beginning.

        What was signed is what the journal keeps, the file outside it, and this process remembers:
        whoever rewrites the database cannot have the key sign over it.
        """
        with (
            databases.reading(self.views.engine) as views,
            self.views.store.reading() as journal,
        ):
            tree = seal.read_tree(views)
            newest = checkpoints.last(journal)
            kept = checkpoints.last(journal, tree.size)
            signed = [_said(each) for each in (newest, kept) if each]
            signed += [each for each in (self._last, self._last_in_file()) if each]
            nodes = seal.nodes(views, seal.leaves_of(journal))
            last = store.last_position(journal)
            for said in signed:
                if said.size > last:
                    raise Forked(said.size)  # it was longer once
                if said.size <= tree.size and root_at(said.size, nodes) != said.root:
                    raise Forked(said.size)
            return _Seen(tree.size, tree.root(), kept)

    def _keep(self, seen: _Seen) -> Kept | None:
        """Sign and keep; None where another was quicker."""
        with self.views.store.writing() as connection:
            if checkpoints.last(connection) != seen.before:
                newest = checkpoints.last(connection)
                if newest is not None and newest.size >= seen.size:
                    return newest
                return None
            origin = self._origin(seen.before)
            in_turn = _in_turn(connection, seen)
            text = Checkpoint(origin, seen.size, seen.root).text
            keys = self._keys(origin, in_turn)
            if seen.before is not None and not _is_signed(connection, seen.before):
                raise Forked(seen.before.size)  # it was put there by somebody else
            note = Note.parse(f"{text}\n{''.join(str(key.sign(text)) for key in keys)}")
            kept = Kept(
                seen.size,
                seen.root,
                str(keys[0].verifier),
                str(note),
                recorded_text(self._clock()),
            )
            checkpoints.keep(connection, kept)
        return kept

    def _confirm(self, kept: Kept) -> None:
        """Nobody sees a checkpoint of entries that a failover could still take away."""
        if kept != self._confirmed:
            self.views.store.confirm()
            self._confirmed = kept

    def _origin(self, before: Kept | None) -> str:
        """The log's name: as it was from the first checkpoint on."""
        if before is not None:
            return Note.parse(before.note).checkpoint.origin
        if self._settings.log_origin is not None:
            return self._settings.log_origin
        public = SigningKey("key", self._secrets.signing_key).verifier.public
        return f"timebank/{self._settings.ledger}/{hashlib.sha256(public).hexdigest()[:12]}"

    def _keys(self, origin: str, in_turn: list[VerifierKey]) -> list[SigningKey]:
        """The keys that must sign, the one in force first."""
        for fresh in (False, True):
            if fresh:  # another process may have rotated it
                self._secrets = load_secrets(self._settings)
            here = [self._secrets.signing_key, self._secrets.signing_key_before]
            mine = [SigningKey(origin, seed) for seed in here if seed is not None]
            if not in_turn:
                return mine[:1]
            by_key = {key.verifier: key for key in mine}
            if all(key in by_key for key in in_turn):
                return [by_key[key] for key in in_turn]
        raise OtherSigningKey("the signing key is not the one in force")

    def check(self) -> None:
        """Raise what `sign` would raise, and sign nothing."""
        seen = self._look()
        with self.views.store.reading() as connection:
            self._keys(self._origin(seen.before), _in_turn(connection, seen))

    def key_in_force(self) -> SigningKey:
        """The key that signs now, whatever it is to sign; OtherSigningKey where it is not here."""
        with self.views.store.reading() as connection:
            newest, told = checkpoints.last(connection), checkpoints.rotations(connection)
        in_turn = [VerifierKey.parse(newest.key)] if newest else []
        if told:
            in_turn = [told[-1].key]
        return self._keys(self._origin(newest), in_turn)[0]

    # -- the file outside the database ---------------------------------------------------------

    def _last_in_file(self) -> Checkpoint | None:
        path = self._settings.checkpoint_file
        return None if path is None else last_in_file(path)

    def _append_to_file(self) -> None:
        """Bring the file of checkpoints up to date: what it has not got yet is appended."""
        path = self._settings.checkpoint_file
        if path is None:
            return
        whole = _tail(path)
        after = -1 if whole.note is None else whole.note.checkpoint.size
        with self.views.store.reading() as connection, path.open("ab") as file:
            if whole.torn:  # a process was killed while it wrote
                file.truncate(whole.end)
            while page := checkpoints.after(connection, after, checkpoints.PAGE):
                file.writelines(f"{kept.note}\n".encode() for kept in page)
                after = page[-1].size
            file.flush()
            os.fsync(file.fileno())

    # -- the thread ----------------------------------------------------------------------------

    def start(self) -> None:
        """Sign whenever it is due, in a thread, until `close`."""
        self._thread = threading.Thread(target=self._run, name="signer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        said = ""
        is_first = True  # the file may lack the last checkpoint of the process before
        while True:
            try:
                if is_first or self.is_due():
                    self.sign()
                    is_first = False
                said = ""
            except (Forked, OtherSigningKey, KeysUnusable, DBAPIError, OSError) as no:
                if said != str(no):  # once, not every second
                    said = str(no)
                    away = isinstance(no, DBAPIError)  # and comes back
                    log.log(WARNING if away else ERROR, "no checkpoint signed: %s", no)
            if self._ending.wait(LOOKS_SECONDS):
                return


def last_in_file(path: Path) -> Checkpoint | None:
    """The last checkpoint in a file outside the database; None where there is none.

    OSError where it holds something else.
    """
    note = _tail(path).note
    return None if note is None else note.checkpoint


def _in_turn(connection: Connection, seen: _Seen) -> list[VerifierKey]:
    """The keys that must sign now: the one in force, and those that hand over to it."""
    told = checkpoints.rotations(connection, seen.size)
    if not told:
        return [] if seen.before is None else [VerifierKey.parse(seen.before.key)]
    before = -1 if seen.before is None else seen.before.size
    handing_over = [
        rotation.replaces
        for rotation in reversed(told)
        if rotation.position > before and not rotation.lost
    ]
    return [told[-1].key, *handing_over]


def _said(kept: Kept) -> Checkpoint:
    """What a kept checkpoint says; Forked where somebody has altered its row."""
    try:
        said = Note.parse(kept.note).checkpoint
        VerifierKey.parse(kept.key)
    except NotANote:
        raise Forked(kept.size) from None
    if (said.size, said.root) != (kept.size, kept.root):
        raise Forked(kept.size)
    return said


def _is_signed(connection: Connection, kept: Kept) -> bool:
    """Does a kept checkpoint bear the signature of the key that was in force for its size?"""
    told = checkpoints.rotations(connection)
    key = VerifierKey.parse(kept.key)
    if told:
        turns = (rotation.key for rotation in reversed(told) if rotation.position <= kept.size)
        key = next(turns, told[0].replaces)
    return key.signed(Note.parse(kept.note))


class _Tail(NamedTuple):
    """The last whole note of a file, where it ends, and whether half of one is behind it."""

    note: Note | None
    end: int
    torn: bool


def _tail(path: Path) -> _Tail:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, size - 2 * NOTE_BYTES_MAX))
            read = file.read()
    except FileNotFoundError:
        return _Tail(None, 0, False)
    found = max(_WHOLE_NOTE.finditer(read), key=re.Match.end, default=None)
    if found is None:
        return _Tail(None, 0, size > 0)
    try:
        note = Note.parse(found[1].decode())
    except (NotANote, UnicodeDecodeError):
        raise OSError(f"{path} holds what is no checkpoint") from None
    end = start + found.end()
    return _Tail(note, end, end < size)


_WHOLE_NOTE = re.compile(
    rb"(?<![^\n])((?:[^\n]+\n){3,}\n(?:\xe2\x80\x94 [^\n]+\n)+)\n"
)  # and the empty line behind it
