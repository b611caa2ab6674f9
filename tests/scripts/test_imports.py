"""Members and hours from the command line, one and from sheets."""

from pathlib import Path

import pytest

from scripts.printing import Exit
from tests.scripts.typed import timebank

MEMBERS = (
    "external_ref,roles,unit,name,phone\nV1,volunteer,lake,王安,\nV2,volunteer|resident,lake,,\n"
)
HEAD = "receipt,member_ref,activity,category,place,responsible,started_at,ended_at\n"


def line(receipt: str, member: str = "V1", hour: int = 9, ended: str | None = None) -> str:
    start = f"2026-03-06T{hour:02}:00:00+08:00"
    end = ended or f"2026-03-06T{hour:02}:50:00+08:00"
    return f"{receipt},{member},陪伴就医,elderly,lake,staff-7,{start},{end}\n"


@pytest.fixture
def town(made: Path, field) -> Path:
    """A ledger with two members, and a window wide enough for the sheets."""
    field()
    (made / "p.json").write_text('{"backfill_window_days": 36000}')
    (made / "members.csv").write_text(MEMBERS)
    assert timebank("policy publish p.json --effective-on 2020-01-01").code == 0
    assert timebank("member import members.csv --org org-a").code == 0
    return made


def entries() -> int:
    return timebank("audit verify --json").json["entries"]


# --- members -------------------------------------------------------------------------------------


def test_a_member_is_added_with_the_person_in_the_vault_alone(made_anywhere, field):
    field()
    said = timebank(
        "member add --org org-a --roles 'volunteer|social_worker' --unit lake --external-ref V1"
        " --name 王安 --document-number 370211199001011234 --birth-date 1990-01-01 --json"
    )
    assert said.json["roles"] == ["volunteer", "social_worker"]
    (event,) = timebank(f"audit trail --member {said.json['id']} --json").json["data"]
    assert "王安" not in str(event)
    assert event["type"] == "MemberRegistered"


def test_a_member_who_is_known_by_the_reference_is_the_same(town):
    known = timebank(
        "member add --org org-a --roles volunteer --unit lake --external-ref V1 --json"
    )
    before = entries()
    again = timebank("member add --org org-a --roles resident --unit lake --external-ref V1 --json")
    assert (again.code, again.json["id"]) == (0, known.json["id"])
    assert again.json["roles"] == ["volunteer"]
    assert entries() == before


def test_a_document_that_is_known_elsewhere_needs_consent(town):
    assert timebank("org add org-b --name 乙 --kind studio --unit lake").code == 0
    person = "--roles volunteer --unit lake --name 李 --document-number 370211199001011234"
    home = timebank(f"member add --org org-a {person} --json").json
    said = timebank(f"member add --org org-b {person}")
    assert said.code == Exit.REFUSED
    assert "consent" in said.err
    assert home["id"] not in said.err
    joined = timebank(f"member add --org org-b {person} --consent-ref c-1 --json")
    assert joined.json["id"] == home["id"]


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        ("--roles pilot --unit lake", Exit.USAGE, "/roles/0: "),
        ("--roles volunteer --unit nowhere", Exit.REFUSED, "/unit: "),
        ("--roles volunteer --unit lake --phone 12", Exit.USAGE, "/person/name: "),
        ("--roles volunteer --unit lake --name A --birth-date 1/2/90", Exit.USAGE, "/person/birth"),
    ],
)
def test_a_member_that_cannot_be_is_refused_at_its_field(town, typed, code, says):
    said = timebank(f"member add --org org-a {typed}")
    assert (said.code, said.err[: len(says)]) == (code, says)


def test_a_second_import_of_members_changes_nothing(town):
    before = entries()
    said = timebank("member import members.csv --org org-a --json")
    assert said.code == 0
    assert {name: said.json[name] for name in ("accepted", "replayed", "refused")} == {
        "accepted": 0,
        "replayed": 2,
        "refused": 0,
    }
    assert entries() == before


# --- hours ---------------------------------------------------------------------------------------


def test_a_sheet_of_hours_is_posted_and_a_second_time_changes_nothing(town):
    (town / "h.csv").write_text(HEAD + line("r-1") + line("r-2", "V2"), encoding="utf-8-sig")
    first = timebank("hours import h.csv --org org-a --json")
    assert (first.code, first.json["accepted"]) == (0, 2)
    assert first.json["results"][1]["line"] == 3
    before = entries()
    second = timebank("hours import h.csv --org org-a --json")
    assert (second.code, second.json["replayed"]) == (0, 2)
    assert entries() == before
    assert timebank("audit trial-balance --json").json["sum"] == 0


def test_lines_that_are_refused_are_named_and_the_rest_is_posted(town):
    wrong = line("r-2", "V9") + line("r-3", ended="2026-03-06T08:00:00+08:00")
    (town / "h.csv").write_text(HEAD + line("r-1") + wrong)
    said = timebank("hours import h.csv --org org-a")
    assert said.code == Exit.PARTLY
    assert "accepted  1" in said.out
    assert "line 3, /member_ref: " in said.out
    assert "line 4, /ended_at: The end must come after the start." in said.out


def test_where_every_line_is_refused_nothing_was_done(town):
    (town / "h.csv").write_text(HEAD + line("r-1", "V9"))
    assert timebank("hours import h.csv --org org-a").code == Exit.REFUSED
    (town / "h.csv").write_text(HEAD + line("r-1"))
    assert timebank("hours import h.csv --org org-z").code == Exit.REFUSED


def test_all_or_nothing_is_nothing_where_a_line_is_refused(town):
    (town / "h.csv").write_text(HEAD + line("r-1") + line("r-2", "V9"))
    before = entries()
    said = timebank("hours import h.csv --org org-a --mode all --json")
    assert said.code == Exit.REFUSED
    assert said.json["accepted"] == 0
    assert entries() == before


def test_a_dry_run_says_what_would_be_and_writes_nothing(town):
    (town / "h.csv").write_text(HEAD + line("r-1") + line("r-2", "V9"))
    before = entries()
    said = timebank("hours import h.csv --org org-a --dry-run --json")
    assert said.code == Exit.PARTLY
    assert (said.json["dry_run"], said.json["accepted"], said.json["refused"]) == (True, 1, 1)
    members = timebank("member import members.csv --org org-a --dry-run --json")
    assert (members.json["dry_run"], members.json["replayed"]) == (True, 2)
    assert entries() == before


def test_many_refused_lines_are_counted_not_listed(town):
    (town / "h.csv").write_text(HEAD + "".join(line(f"r-{n}", "V9") for n in range(60)))
    said = timebank("hours import h.csv --org org-a")
    assert "10 more lines were refused." in said.out
    assert len(timebank("hours import h.csv --org org-a --json").json["results"]) == 60


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (HEAD.replace("receipt", "reciept") + line("r-1"), "reciept"),
        (b"PK\x03\x04 broken", ""),
        (b"", ""),
    ],
)
def test_a_sheet_that_cannot_be_read_is_usage(town, content, says):
    data = content.encode() if isinstance(content, str) else content
    (town / "h.csv").write_bytes(data)
    said = timebank("hours import h.csv --org org-a")
    assert said.code == Exit.USAGE
    assert says in said.err
