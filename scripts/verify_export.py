"""Verifies an export of the ledger and needs nothing of it: one file, for an auditor to read.

    python verify_export.py books.ndjson --key VKEY [--key VKEY] [--pinned NOTES] [--member ID]

Needs the package `cryptography`. Beside `books.ndjson` stand its `.checkpoints` (what was signed:
how many entries, and the root of their tree) and its `.trial-balance.csv` or, of a part, `.proofs`
(that each line is in the last checkpoint): RFC 6962, C2SP signed-note and tlog-checkpoint. Exit: 0
all is right; 5 something is wrong, with the first position where it shows; 2 nothing was verified.
"""

import argparse
import csv
import json
import re
import sys
from base64 import b64decode, b64encode
from functools import reduce
from hashlib import sha256
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
NEVER_NEGATIVE = re.compile(r"person:[^:]+:(available|held|frozen)")  # a receivable is below zero
SERVED = {"HoursVerified", "SubmittedHoursVerified", "HoursReversed"}  # reversed: minutes below 0
BASE64 = rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
SIGNATURE = rb"\xe2\x80\x94 (\S+) (%b)\n" % BASE64
NOTE = re.compile(
    rb"((\S+)\n(0|[1-9]\d{0,17})\n(%b)\n(?:.+\n)*)\n((?:%b)+)\n*" % (BASE64, SIGNATURE)
)
DECODE = json.JSONDecoder(parse_float=int, parse_constant=int).decode  # int() refuses a float
ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
KEYS = ["data", "position", "stream", "type", "version"]
Key = tuple[str, bytes, bytes]  # name, hash, public key
BROKEN = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
POCKETS = ("available", "held", "frozen", "receivable")
ENDINGS = ("checkpoints", "trial-balance.csv", "proofs")
FAULTS = {
    "spelling": ("不是记录的唯一写法", "no entry, or not in its one spelling"),
    "position": ("这一行的位置是 {}", "the line has the position {}"),
    "version": ("{} 的版本不连续", "the versions of {} are not dense"),
    "recorded_at": ("记录时间缺失或倒退", "recorded at no time, or before the entry ahead"),
    "sum": ("借贷分录之和是 {}", "its lines sum to {}"),
    "negative": ("{} 低于零", "{} falls below zero"),
    "note": (
        "其后的检查点无法读取、次序不对或属于别处",
        "unreadable, disordered or foreign checkpoint after it",
    ),
    "root": ("树根不符，问题在 {} 之后", "not the checkpoint's root: wrong somewhere after {}"),
    "pinned": ("历史与留存的检查点不符", "the history is not the one of the pinned checkpoint"),
    "forged": ("检查点的签名是伪造的", "a signature of the checkpoint is forged"),
    "unsigned": ("检查点缺少应有的可信签名", "a key that had to sign the checkpoint has not"),
    "rotation": ("换钥记录不能成立", "the entry cannot change the signing key"),
    "cut": ("缺失：检查点有 {} 条", "missing: a checkpoint has {} entries"),
    "uncovered": ("自此没有检查点", "no checkpoint from here on"),
    "trial_balance": ("试算表不符：{}", "the trial balance differs: {}"),
    "proof": ("证明不成立", "the proof does not hold"),
}


class Wrong(Exception):
    def __init__(self, position: int, fault: str, named: object = "") -> None:
        zh, en = (text.format(named) for text in FAULTS[fault])
        self.told = {"right": False, "position": position, "fault": fault, "zh": zh, "en": en}


class Note(NamedTuple):
    size: int
    pinned: bool
    root: bytes
    text: bytes
    signatures: list[tuple[str, bytes]]  # name, and the key's hash with the signature

    def signed_by(self, key: Key) -> bool:
        """Whether this key signed it; what claims to be the key's signature must be it."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        claimed = [said[4:] for name, said in self.signatures if (name, said[:4]) == key[:2]]
        try:
            for signature in claimed:
                Ed25519PublicKey.from_public_bytes(key[2]).verify(signature, self.text)
        except InvalidSignature as error:
            raise Wrong(self.size, "forged") from error
        return bool(claimed)


class Books:
    """All entries so far: what each account holds, each stream's version, the tree of the log."""

    def __init__(self, whole: bool, member: str | None) -> None:
        self.whole, self.member, self.recorded_at = whole, member, ""
        self.entries = self.position = self.minutes = 0
        self.versions, self.balances = dict[str, int](), dict[str, int]()
        self.keys: list[Key] = []  # that the log names, each the successor of the one before
        self.changes: dict[int, bool] = {}  # at which positions; whether the old key was lost
        self.full: list[bytes] = []  # the roots of the tree's full subtrees, the largest first

    def take(self, line: bytes) -> None:
        """The next entry, if it is exactly as it is written and may follow those before it."""
        place = self.position + 1
        try:
            text = line[:-1].decode()
            entry = DECODE(text)  # of a key that stands there twice the last: the text differs
            data, position, stream, kind, version = entry.values()
            kinds = [type(value) for value in (position, stream, kind, version)]
            spelled = ENCODE(entry) == text and line[-1:] == b"\n" and len(line) <= 65_536
            if not spelled or [*entry] != KEYS or kinds != [int, str, str, int]:
                raise ValueError(text)
            if position != place if self.whole else position < place:
                raise Wrong(place, "position", position)
            before = self.versions.get(stream, 0)
            if version != before + 1 if self.whole else version <= before:
                raise Wrong(position, "version", stream)
            if type(data) is dict:
                self._count(position, kind, data)
            elif b64encode(b64decode(data)).decode() != data:  # any bytes: another program's
                raise ValueError(data)
            if kind == "SigningKeyRotated" and self.whole:
                old, new = parsed_key(data["replaces"]), parsed_key(data["key"])
                if stream != "signing_keys" or [old[0], self.keys[-1:] or [old]] != [new[0], [old]]:
                    raise Wrong(position, "rotation")
                self.keys = [*(self.keys or [old]), new]
                self.changes[position] = data.get("lost") is True
        except BROKEN as error:
            raise Wrong(place, "spelling") from error
        self.leaf = hashed = sha256(b"\x00" + line[:-1]).digest()
        size = self.entries
        while size & 1:
            hashed, size = node(self.full.pop(), hashed), size >> 1
        self.full.append(hashed)
        self.versions[stream], self.position, self.entries = version, position, self.entries + 1

    def _count(self, position: int, kind: str, data: dict[str, Any]) -> None:
        at, lines, total = data["recorded_at"], data.get("entries", ()), 0
        if not INSTANT.fullmatch(at) or at < self.recorded_at:
            raise Wrong(position, "recorded_at")
        self.recorded_at = at
        for account, credits in lines:
            if type(account) is not str or type(credits) is not int:
                raise TypeError(account)
            total += credits
            self.balances[account] = self.balances.get(account, 0) + credits
        if total:
            raise Wrong(position, "sum", total)
        for account, _ in lines if self.whole else ():
            if self.balances[account] < 0 and NEVER_NEGATIVE.fullmatch(account):
                raise Wrong(position, "negative", account)
        if kind in SERVED and data["member_id"] == self.member:
            self.minutes += int(data["minutes"])

    def root(self) -> bytes:
        return reduce(lambda b, a: node(a, b), reversed(self.full or [sha256().digest()]))

    def replay(self, path: Path, due: list[Note]) -> None:
        """Take in all entries; at each checkpoint's size the tree has its root."""
        waiting, good = iter(due), 0
        note = next(waiting, None)
        with path.open("rb") as file:
            for line in chain([b""], file):
                if line:
                    self.take(line)
                while note and note.size == self.position:
                    if note.root != self.root():
                        raise Wrong(note.size, "pinned" if note.pinned else "root", good)
                    good = good if note.pinned else note.size
                    note = next(waiting, None)
        if note:
            raise Wrong(self.position + 1, "cut", note.size)
        if good < self.position:
            raise Wrong(good + 1, "uncovered")

    def check_trial_balance(self, path: Path) -> None:
        """The same accounts with the same credits, no less and no more."""
        rows = [["account", "credits"], *([a, str(c)] for a, c in sorted(self.balances.items()))]
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            for ours, told in zip_longest(rows, csv.reader(file)):
                if ours != told:
                    raise Wrong(self.position, "trial_balance", f"{told} ≠ {ours}")

    def check_proofs(self, path: Path, proofs: Path, last: Note) -> None:
        """Each entry of a part is in the last checkpoint."""
        with path.open("rb") as file, proofs.open("rb") as told:
            for line, proof in zip_longest(file, told, fillvalue=b""):
                self.take(line)
                try:
                    said = json.loads(proof)
                    hashes = [b64decode(hashed, validate=True) for hashed in said["hashes"]]
                    proved = proved_root(self.leaf, self.position - 1, last.size, hashes)
                    if (said["position"], proved) != (self.position, last.root):
                        raise ValueError(proof)
                except BROKEN as error:
                    raise Wrong(self.position, "proof") from error


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def proved_root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an inclusion proof leads to; IndexError if it is too short."""
    if size == 1:
        return b"" if path or index else leaf
    left = 1 << (size - 1).bit_length() - 1
    if index < left:
        return node(proved_root(leaf, index, left, path[:-1]), path[-1])
    return node(path[-1], proved_root(leaf, index - left, size - left, path[:-1]))


def parsed_key(text: str) -> Key:
    """The key of `<name>+<hash>+<base64>`; ValueError."""
    name, digits, spelled = text.split("+", 2)
    public = b64decode(spelled)
    hashed = sha256(name.encode() + b"\n" + public).digest()[:4]
    if public[:1] != b"\x01" or len(public) != 33 or digits != hashed.hex():  # 1: Ed25519
        raise ValueError(text)
    return name, hashed, public[1:]


def notes(path: Path, origin: str, pinned: bool = False) -> list[Note]:
    """The checkpoints of a file, in order unless they are pinned ones."""
    text, place, size, found = path.read_bytes(), 0, 0, list[Note]()
    while place < len(text):
        note = NOTE.match(text, place)
        if not note or note[2] != origin.encode() or (int(note[3]) < size and not pinned):
            raise Wrong(size, "note")
        place, size = note.end(), int(note[3])
        signed = re.findall(SIGNATURE, note[5])
        signatures = [(name.decode(errors="replace"), b64decode(said)) for name, said in signed]
        found.append(Note(size, pinned, b64decode(note[4]), note[1], signatures))
    return found


def check_signatures(signed: list[Note], books: Books, trusted: list[Key]) -> None:
    """The key that the log names for its size has signed each; it is trusted, was replaced by one
    that is (the last checkpoint covers that entry), or the trusted one signed its coming, too."""
    passed, keys, lost = 0, books.keys, list(books.changes.values())
    reach = max((place for place, key in enumerate(keys) if key in trusted), default=-1)
    for note in signed:
        now = sum(position <= note.size for position in books.changes)
        for step in range(passed, now):
            reach += note.signed_by(keys[step]) and reach == step
            if not lost[step] and not note.signed_by(keys[step]):
                raise Wrong(note.size, "unsigned")
        passed = now
        due = keys[now : reach + 1][:1] if keys else trusted
        if not any([note.signed_by(key) for key in due]):
            raise Wrong(note.size, "unsigned")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("books", type=Path)
    parser.add_argument("--key", type=parsed_key, action="append", required=True)
    parser.add_argument("--pinned", type=Path)
    parser.add_argument("--member")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    try:
        report = verified(asked.books, asked.key, asked.pinned, asked.member)
    except Wrong as wrong:
        report = wrong.told
    except (OSError, ImportError, csv.Error) as error:
        sys.stderr.write(f"无法核验 nothing was verified: {error}\n")
        return 2
    lines = ["核验通过 right" if report["right"] else "核验未通过 wrong"]
    lines += [f"{name}: {value}" for name, value in report.items()]
    sys.stdout.write((json.dumps(report) if asked.json else "\n".join(lines)) + "\n")
    return 0 if report["right"] else 5


def verified(path: Path, trusted: list[Key], pinned: Path | None, member: str | None) -> Any:
    """The report on an export in which nothing is wrong; or Wrong."""
    origin, (kept_in, table, proofs) = trusted[0][0], (Path(f"{path}.{end}") for end in ENDINGS)
    books, kept = Books(not proofs.exists(), member), notes(kept_in, origin)
    if not kept:
        raise Wrong(1, "uncovered")
    if books.whole:
        due = kept + (notes(pinned, origin, pinned=True) if pinned else [])
        due.sort(key=lambda note: note[:2])
        books.replay(path, due)
        check_signatures(due, books, trusted)
        books.check_trial_balance(table)
    else:
        books.check_proofs(path, proofs, kept[-1])
        check_signatures(kept[-1:], books, trusted)
    report: dict[str, Any] = {"right": True, "part": not books.whole, "entries": books.entries}
    report |= {"position": books.position, "checkpoints": len(kept)}
    report["root"] = b64encode(kept[-1].root).decode()
    if books.whole:
        report |= {"accounts": len(books.balances), "sum": sum(books.balances.values())}
        report |= {"minutes": books.minutes} if member else {}
    for name in POCKETS if books.whole and member else ():
        report[name] = books.balances.get(f"person:{member}:{name}", 0)
    return report


if __name__ == "__main__":
    sys.exit(main())
