"""Who somebody is goes into the vault by every way in, and is found nowhere else, in no output."""

import io
import logging
import shutil
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from pypdf import PdfReader

from ledger.settings import Settings
from scripts.export import FORMATS
from tests.api.house import Caller, House, Said, made, opened
from tests.api.visits import day, visit
from tests.ledger.test_vault_erasure import in_files, sealed_of
from tests.scripts.typed import timebank

NAME = "赵planted七"
RESIDENT_ID = "370212195512310077"
PASSPORT = "E77PLANTED77"
PHONE = "13977700077"
BORN = "1955-12-31"
REF = "REF-planted-77"
ACTOR = "planted-actor-赵"  # of the member's own key: in the table of keys until the erasure
OTHERS = [f"{REF}-{way}" for way in ("patch", "csv", "cli", "join", "bad", "none")]
PLANTED = [NAME, RESIDENT_ID, PASSPORT, PHONE, BORN, REF]
PERSON = {"name": NAME, "document_number": RESIDENT_ID, "birth_date": BORN, "phone": PHONE}


def found_in(content: bytes | str, *also: str) -> list[str]:
    """What is planted and stands in the bytes."""
    data = content if isinstance(content, bytes) else content.encode()
    return [word for word in (*PLANTED, *also) if word.encode() in data]


class Outputs:
    """All that was logged and refused while the block lasted, as one text."""

    def __init__(self) -> None:
        self.logged = io.StringIO()
        self.refused: list[bytes] = []

    def heard(self, said: Said) -> Said:
        if said.status >= 400:
            self.refused.append(said.body + repr(dict(said.headers)).encode())
        return said


@pytest.fixture
def outputs(caplog: pytest.LogCaptureFixture) -> Iterator[Outputs]:
    """Every logger at its most talkative; SQLAlchemy's too, which tells rows."""
    caplog.set_level(logging.DEBUG)
    for name in ("sqlalchemy.engine", "sqlalchemy.pool", "aiohttp", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    heard = Outputs()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(heard.logged),
        cache_logger_on_first_use=False,
    )
    yield heard
    structlog.reset_defaults()


async def every_way_in(house: House, outputs: Outputs, folder: Path) -> str:
    """Plant everything wherever something can be typed; the id of the one who is erased later."""
    heard = outputs.heard

    def once(caller: Caller, path: str, body: Any, n: list[int] = [0], **other: Any) -> Any:  # noqa: B006
        n[0] += 1
        return caller.post(path, body, once=f"key-{n[0]}", **other)

    seat = {"roles": ["volunteer"], "unit": "lake"}
    body = {**seat, "external_ref": REF, "person": PERSON}
    said = heard(await once(house.poster, "/v1/members", body))
    assert said.status == 201, said.body
    member_id: str = said.json["id"]
    assert heard(await once(house.poster, "/v1/members?dry_run=true", body)).status == 200
    passport = {"document_kind": "passport", "document_number": PASSPORT, "name": NAME}
    path = f"/v1/members/{member_id}"
    changed = await house.poster.ask("PATCH", path, {"person": passport})
    assert heard(changed).status == 200
    changed = await house.poster.ask("PATCH", path, {"person": {**PERSON, "document_kind": None}})
    assert heard(changed).status == 200
    refused = heard(await once(house.other_poster, "/v1/members", body))
    assert refused.code == "consent_needed"
    joining = body | {"external_ref": OTHERS[3], "consent_ref": "c-1"}
    assert heard(await once(house.other_poster, "/v1/members", joining)).status == 200

    head = "external_ref,roles,unit,name,document_number,birth_date,phone\n"
    row = f"{OTHERS[1]},volunteer,lake,{NAME},{PASSPORT},{BORN},{PHONE}\n"
    bad = f"{OTHERS[4]},nobody,lake,{NAME},{PASSPORT},{PHONE},{BORN}\n"
    sheet = {"raw": (head + row + bad).encode(), "media": "text/csv"}
    assert heard(await house.poster.post("/v1/imports/members", None, **sheet)).status == 200
    typed = timebank(
        f"member add --org org-a --roles resident --unit lake --external-ref {OTHERS[2]}"
        f" --name {NAME} --birth-date {BORN} --phone {PHONE}"
        f" --document-kind passport --document-number {PASSPORT}x"
    )
    assert (typed.code, found_in(typed.out + typed.err)) == (0, [])

    posted = await once(house.poster, "/v1/service-records", visit(member_ref=REF))
    assert heard(posted).status == 201
    again = await once(house.poster, "/v1/service-records", visit("16:00", "17:00", member_ref=REF))
    record = heard(again).json["id"]
    corrected = {"member_ref": OTHERS[2], "reason": "x"}
    said = await once(house.verifier, f"/v1/service-records/{record}/correct", corrected)
    assert heard(said).status == 200, said.body
    items = [visit(member_ref=ref, days_ago=5, receipt=f"B-{n}") for n, ref in enumerate(OTHERS)]
    batch = await once(house.poster, "/v1/service-record-batches", {"items": items})
    assert heard(batch).status == 200
    outputs.refused.append(batch.body)  # each refused item is told in it
    hours = folder / "hours.csv"
    columns = [*visit(), "member_ref"]
    values = [*visit(days_ago=6, receipt="H-1").values(), REF]
    hours.write_text("\n".join((",".join(columns), ",".join(values), ",".join(values[::-1]))))
    typed = timebank(f"hours import {hours} --org org-a --json")
    hours.unlink()
    assert found_in(typed.out + typed.err) == []
    await bad_requests(house, outputs, member_id)
    return member_id


async def bad_requests(house: House, outputs: Outputs, member_id: str) -> None:
    """What is refused, and quotes what was planted where a value stands."""
    seat = {"roles": ["volunteer"], "unit": "lake"}
    asked: list[tuple[Caller, str, str, Any]] = [
        (house.poster, "POST", "/v1/members", {**seat, "person": PERSON | {"phone": [PHONE]}}),
        (house.poster, "POST", "/v1/members", {**seat, "person": PERSON | {"birth_date": PHONE}}),
        (house.poster, "POST", "/v1/members", {**seat, "person": NAME, "external_ref": REF}),
        (house.poster, "POST", "/v1/members", seat | {"roles": [NAME], "external_ref": REF}),
        (house.poster, "POST", "/v1/members", seat | {"unit": PHONE}),
        (house.poster, "POST", "/v1/members", {**seat, "consent_ref": f"电话{PHONE}"}),
        (house.poster, "POST", "/v1/service-records", visit(member_ref=OTHERS[5])),
        (house.poster, "POST", "/v1/service-records", visit(member_ref=[REF])),
        (house.poster, "POST", "/v1/service-records", visit(member_ref=REF, receipt=PHONE)),
        (
            house.poster,
            "POST",
            "/v1/service-records",
            visit(member_ref=REF, activity=f"陪{RESIDENT_ID}"),
        ),
        (house.poster, "PATCH", f"/v1/members/{member_id}", {"person": {"name": [NAME]}}),
        (house.poster, "GET", f"/v1/members?external_ref={REF}&limit={PHONE}", None),
        (house.auditor, "GET", f"/v1/members?external_ref={REF}", None),
        (house.poster, "GET", f"/v1/members/{PHONE}", None),
        (house.admin, "POST", f"/v1/members/{member_id}/close", {"reason": f"{PHONE} {BORN}"}),
    ]
    for caller, method, path, body in asked:
        said = await caller.ask(method, path, body)
        assert said.status >= 400, (path, said.body)
        outputs.heard(said)
    raw = f'{{"external_ref": "{REF}", "person": {{"name": "{NAME}"'.encode()
    said = outputs.heard(await house.poster.post("/v1/members", None, raw=raw))
    assert said.code == "malformed_json"


async def told(house: House, member_id: str) -> bytes:
    """What is answered to those who may not know who it is, and to machines."""
    paths = [
        f"/v1/audit/events?limit=500&min_position={house.position}",
        f"/v1/audit/events?member_id={member_id}&format=ndjson&limit=500",
        f"/v1/members/{member_id}",
        "/v1/members?limit=500",
        f"/v1/members/{member_id}/passbook",
        f"/v1/members/{member_id}/consents",
        "/v1/service-records?limit=500",
        "/v1/audit/trial-balance",
        "/metrics",
    ]
    said = [await house.auditor.get(path) for path in paths]
    assert [one.status for one in said] == [200] * len(paths)
    reads = await house.admin.get("/v1/audit/reads?limit=500")
    return b"".join(one.body for one in (*said, reads)) + await papers_told(house)


async def papers_told(house: House) -> bytes:
    """The papers that there are, but for those with the name on them, and all that is public."""
    (statement,) = (await house.auditor.get("/v1/statements")).json["data"]
    path = f"/v1/statements/{statement['number']}"
    item = (await house.verifier.get(path)).json
    public = f"{statement['number']}?code={item['code']}"
    said = [
        await house.auditor.get(path),
        await house.auditor.get(f"{path}?format=credential"),
        await house.stranger.get(f"/verify/{public}"),
        await house.stranger.get("/issuers/org-a"),
        await house.stranger.get("/credentials/status/org-a/0"),
    ]
    return b"".join(one.body for one in said)


async def printed_papers(house: House, member_id: str) -> None:
    """A statement and the copy, as those see them who may know the name; nothing of it is kept."""
    period = {"from": day(30), "to": day(0)}
    path = f"/v1/members/{member_id}/statements"
    issued = await house.verifier.post(path, period, once="stated")
    assert (issued.status, found_in(issued.body)) == (201, [])
    wait = f"&min_position={house.position}"
    for path in (
        f"/v1/statements/{issued.json['number']}?format=pdf{wait}",
        f"/v1/members/{member_id}/personal-data?format=pdf{wait}",
    ):
        said = await house.admin.get(path)
        assert (said.status, said.headers["Content-Type"]) == (200, "application/pdf")
        text = "".join(page.extract_text() for page in PdfReader(BytesIO(said.body)).pages)
        assert NAME in "".join(text.split())


def printed(folder: Path, member_id: str) -> bytes:
    """What the command line tells auditors, and every export, unpacked."""
    said = [
        timebank(line)
        for line in (
            "audit trail --json",
            f"audit trail --member {member_id}",
            "audit reads --json",
        )
    ]
    content = "".join(one.out + one.err for one in said).encode()
    for form in FORMATS:
        if form == "parquet" and find_spec("pyarrow") is None:
            continue
        out = folder / f"export-{form}"
        assert timebank(f"export --format {form} --out {out}").code == 0, form
    for path in sorted(folder.rglob("export-*")):
        for file in path.rglob("*") if path.is_dir() else [path]:
            content += file.read_bytes()
            if zipfile.is_zipfile(file):
                with zipfile.ZipFile(file) as packed:
                    content += b"".join(packed.read(name) for name in packed.namelist())
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return content


def dumped(database_url: str) -> bytes:
    """Every column of every table of journal and views on PostgreSQL."""
    content = b""
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables"
            " WHERE table_schema IN ('main_journal', 'main_views')"
        ).fetchall()
        assert len(tables) > 40
        for (table,) in tables:
            for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608  (quoted above)
                content += b"\n".join(
                    bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                    for value in row
                )
    return content


async def test_who_somebody_is_stands_in_the_vault_alone_and_after_erasure_nowhere(
    database_url: str,
    tmp_path: Path,
    outputs: Outputs,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    store.mkdir()
    elsewhere.mkdir()
    if database_url.startswith("sqlite"):
        database_url = f"sqlite:///{store / 'timebank.db'}"
    keys_file = tmp_path / "timebank-keys.json"
    settings = Settings(database_url=database_url, keys_file=keys_file, log_level="debug")
    monkeypatch.setenv("TIMEBANK_DATABASE_URL", database_url)
    monkeypatch.setenv("TIMEBANK_KEYS_FILE", str(keys_file))
    monkeypatch.setenv("TIMEBANK_LANG", "en")
    monkeypatch.chdir(elsewhere)
    planted = [word.encode() for word in PLANTED]
    made(settings)
    async with opened(settings) as house:
        member_id = await every_way_in(house, outputs, elsewhere)
        herself = house.caller(role="member", actor=ACTOR, member_id=member_id)
        body = {"kind": "donation", "from": member_id, "credits": 1, "reason": "x"}
        assert (await herself.post("/v1/transfers", body)).status == 201

        await printed_papers(house, member_id)

        shown = await house.poster.get(f"/v1/members/{member_id}?min_position={house.position}")
        assert shown.json["person"]["name"].startswith("赵*")  # it is held
        assert found_in(await told(house, member_id)) == []
        assert found_in(printed(elsewhere, member_id)) == []
        assert in_files(database_url, store, planted) == 0  # not even in the vault
        if not database_url.startswith("sqlite"):
            assert found_in(dumped(database_url)) == []
            assert found_in(dumped(database_url), ACTOR) == [ACTOR]
        assert in_files(database_url, store, [ACTOR.encode()]) == 1

        gone = sealed_of(house.ledger.vault_engine, member_id)
        assert in_files(database_url, store, gone) == len(gone) > 0
        erased = await house.admin.ask("DELETE", f"/v1/members/{member_id}/personal-data")
        assert erased.status == 204
        assert in_files(database_url, store, [*planted, *gone, ACTOR.encode()]) == 0
        assert found_in(await told(house, member_id), ACTOR) == []
        assert found_in(printed(elsewhere, member_id), ACTOR) == []

    out, err = capfd.readouterr()
    logged = caplog.text + outputs.logged.getvalue() + out + err
    assert "/v1/members/{id}" in logged  # something was logged
    assert "INSERT INTO people" in logged
    assert found_in(logged) == []
    assert len(outputs.refused) > 15
    for body in outputs.refused:
        assert found_in(body) == [], body


async def test_a_journal_without_its_vault_tells_nobody(
    sqlite_url: str, tmp_path: Path, outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys_file = tmp_path / "timebank-keys.json"
    settings = Settings(database_url=sqlite_url, keys_file=keys_file)
    for name, value in (("DATABASE_URL", sqlite_url), ("KEYS_FILE", str(keys_file))):
        monkeypatch.setenv(f"TIMEBANK_{name}", value)
    made(settings)
    async with opened(settings) as house:
        member_id = await every_way_in(house, outputs, tmp_path)
    copied = tmp_path / "copied"
    copied.mkdir()
    shutil.copy(tmp_path / "timebank.db", copied)
    monkeypatch.setenv("TIMEBANK_DATABASE_URL", f"sqlite:///{copied / 'timebank.db'}")
    monkeypatch.setenv("TIMEBANK_KEYS_FILE", str(copied / "none.json"))
    assert timebank("audit verify").code == 0
    assert timebank("audit replay").code == 0
    said = timebank(f"audit trail --member {member_id} --json")
    assert "MemberJoined" in said.out
    content = said.out.encode() + b"".join(file.read_bytes() for file in copied.iterdir())
    assert found_in(content) == []
    assert datetime.now(UTC).year > 1955  # what was planted is no date of today
