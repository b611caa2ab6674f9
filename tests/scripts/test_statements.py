"""Service statements at the command line: issued, shown in every form, verified, revoked."""

import orjson
import pytest
from pypdf import PdfReader

from scripts.printing import Exit
from tests.scripts.typed import timebank

HOURS = (
    "receipt,member_ref,activity,category,place,responsible,started_at,ended_at\n"
    "R-1,V-1,陪伴就医,medical,lake,staff-7,2026-09-01T08:00:00+08:00,2026-09-01T10:00:00+08:00\n"
    "R-2,V-1,送餐,meals,lake,staff-7,2026-09-02T08:00:00+08:00,2026-09-02T09:40:00+08:00\n"
)
YEAR = "--from 2026-01-01 --to 2026-12-31"


@pytest.fixture
def member(made_anywhere, field, tmp_path) -> str:
    """Zhang, who has served 220 minutes."""
    field()
    said = timebank(
        "member add --org org-a --roles volunteer --unit lake --external-ref V-1 --name 张三 --json"
    )
    (tmp_path / "hours.csv").write_text(HOURS, encoding="utf-8")
    assert timebank(f"hours import {tmp_path / 'hours.csv'} --org org-a").code == 0
    return str(said.json["id"])


def issued(member: str) -> dict[str, str]:
    said = timebank(f"statement issue {member} --org org-a {YEAR} --json")
    assert said.code == 0, said.err
    found: dict[str, str] = said.json
    return found


def test_a_statement_is_issued_shown_verified_and_revoked(member, tmp_path):
    statement = issued(member)
    number, code = statement["number"], statement["code"]
    assert statement["minutes"] == 220
    assert statement["verify_url"] == f"http://127.0.0.1:8080/verify/{number}?code={code}"
    verified = timebank(f"statement verify {number.lower()} --code {code.replace('-', '')} --json")
    assert (verified.code, verified.json["status"], verified.json["minutes"]) == (0, "valid", 220)
    assert member not in verified.out
    assert timebank(f"statement show {number} --json").json["code"] == code

    for form, check in (("pdf", _pdf), ("credential", _credential)):
        path = tmp_path / f"paper.{form}"
        said = timebank(f"statement show {number} --format {form} --out {path} --json")
        assert said.code == 0, said.err
        assert said.json["bytes"] == path.stat().st_size
        assert path.stat().st_mode & 0o777 == 0o600  # the name and the code are in it
        check(path)
        again = timebank(f"statement show {number} --format {form} --out {path}")
        assert again.code == Exit.REFUSED
    assert timebank(f"statement show {number} --format pdf").code == Exit.USAGE

    assert timebank(f"statement revoke {number} --reason 误发 --json").json["status"] == "revoked"
    verified = timebank(f"statement verify {number} --code {code} --json")
    assert (verified.code, verified.json["status"]) == (Exit.WRONG, "revoked")
    assert timebank(f"statement revoke {number} --reason 误发").code == Exit.REFUSED


def _pdf(path):
    text = "".join(page.extract_text() for page in PdfReader(path).pages)
    assert "张三" in text
    assert "3 小时 40 分" in text


def _credential(path):
    document = orjson.loads(path.read_bytes())
    assert document["credentialSubject"]["achievement"]["achievementType"] == "CommunityService"
    assert document["proof"]["cryptosuite"] == "eddsa-rdfc-2022"


def test_a_wrong_code_an_unknown_number_and_nothing_served_are_refused(member):
    number = issued(member)["number"]
    wrong = timebank(f"statement verify {number} --code 0000-0000-0000-0000")
    unknown = timebank("statement verify ST-0000-0000-0000 --code 0000-0000-0000-0000")
    assert wrong.code == unknown.code == Exit.REFUSED
    assert wrong.err == unknown.err
    assert timebank("statement show ST-0000-0000-0000").code == Exit.REFUSED
    nothing = timebank(
        f"statement issue {member} --org org-a --from 2025-01-01 --to 2025-02-01 --json"
    )
    assert nothing.json["error"]["code"] == "nothing_to_state"
    turned = timebank(f"statement issue {member} --org org-a --from 2026-02-01 --to 2026-01-01")
    assert turned.code == Exit.USAGE
    elsewhere = timebank(f"statement issue {member} --org org-z {YEAR}")
    assert elsewhere.code == Exit.REFUSED


def test_the_address_in_a_statement_is_the_public_one(member, monkeypatch):
    monkeypatch.setenv("TIMEBANK_PUBLIC_URL", "https://timebank.example/bank")
    assert issued(member)["verify_url"].startswith("https://timebank.example/bank/verify/ST-")
    monkeypatch.setenv("TIMEBANK_PUBLIC_URL", "timebank.example")
    assert timebank("statement show ST-0000-0000-0000").code == Exit.USAGE
