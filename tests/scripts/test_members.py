"""Members at the command line: erased for ever, asked before, told plainly."""

import stat
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from ledger.units import new_id
from scripts.cli import main
from scripts.door import opened
from scripts.printing import Exit
from tests.scripts.test_stores import checks
from tests.scripts.typed import timebank

NOBODY = "019f0000-0000-7000-8000-00000000dead"


def member(number: int = 1) -> str:
    said = timebank(
        f"member add --org org-a --roles volunteer --unit lake --external-ref V-{number}"
        f" --name 张三 --phone 1381234567{number} --json"
    )
    assert said.code == 0, said.err
    return str(said.json["id"])


def statuses() -> dict[str, str]:
    with opened() as ledger:
        return {known.member_id: known.status for known in ledger.vault.everyone()}


def test_members_are_erased_and_it_is_recorded(made_anywhere, field):
    field()
    first, second, third = member(1), member(2), member(3)
    said = timebank(f"member erase {first} {second} {first} --reason retention --yes --json")
    assert said.code == 0, said.err
    assert (said.json["erased"], said.json["refused"], said.json["swept"]) == (2, 0, True)
    assert statuses() == {first: "erased", second: "erased", third: "active"}
    trail = timebank(f"audit trail --member {first} --json").json["data"]
    assert trail[-1]["type"] == "PersonDataErased"
    assert trail[-1]["data"]["reason"] == "retention"
    assert checks(timebank("doctor --json"))["orphans"] == "ok"
    again = timebank(f"member erase {first} --yes --json")
    assert again.code == 0
    assert again.json["results"] == said.json["results"][:1]


def test_who_is_no_member_is_told_and_the_others_are_erased(made, field):
    field()
    known = member()
    said = timebank(f"member erase {known} {NOBODY} --yes --json")
    assert said.code == Exit.PARTLY
    assert [one["status"] for one in said.json["results"]] == ["erased", "refused"]
    assert said.json["results"][1]["code"] == "not_found"
    assert timebank(f"member erase {NOBODY} --yes").code == Exit.REFUSED


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", Exit.USAGE), ("", Exit.USAGE)])
def test_nobody_is_erased_before_someone_has_said_yes(made, field, answer, code):
    field()
    known = member()
    said = CliRunner().invoke(main, ["member", "erase", known], input=answer)
    assert said.exit_code == code
    assert "1 members" in said.stderr
    assert statuses() == {known: "erased" if code == 0 else "active"}


def test_either_ids_or_all_that_are_recorded(made, field):
    field()
    assert timebank("member erase --yes").code == Exit.USAGE
    assert timebank(f"member erase {NOBODY} --recorded --yes").code == Exit.USAGE


def test_after_an_old_vault_is_restored_everyone_recorded_is_erased_again(made, field):
    field()
    erased, other = member(1), member(2)
    files = {path: path.read_bytes() for path in made.glob("timebank-vault.db*")}
    assert timebank(f"member erase {erased} --yes").code == 0
    for path in made.glob("timebank-vault.db*"):
        path.unlink()
    for path, content in files.items():
        path.write_bytes(content)
    found = timebank("doctor --json")
    assert (checks(found)["orphans"], found.code) == ("wrong", Exit.WRONG)
    assert erased in found.out
    assert "--recorded" in found.out
    said = timebank("member erase --recorded --yes --json")
    assert (said.json["erased"], said.code) == (1, 0)
    assert statuses() == {erased: "erased", other: "active"}
    assert checks(timebank("doctor --json"))["orphans"] == "ok"
    assert timebank("member erase --recorded --yes --json").json["erased"] == 0


def test_somebody_erased_in_the_vault_alone_is_found(made, field):
    field()
    known = member()
    with opened() as ledger:
        ledger.vault.erase(known)
    found = timebank("doctor --json")
    assert (checks(found)["orphans"], found.code) == ("wrong", Exit.WRONG)
    assert timebank(f"member erase {known} --yes").code == 0
    assert checks(timebank("doctor --json"))["orphans"] == "ok"


def test_a_reader_in_the_way_is_told(made, field, monkeypatch):
    field()
    known = member()
    monkeypatch.setattr("ledger.vault.Vault.sweep", lambda _: False)
    said = timebank(f"member erase {known} --yes --json")
    assert (said.code, said.json["swept"]) == (0, False)
    assert "run it again" in said.err


def test_who_has_no_member_has_nothing_to_erase(made, field):
    field()
    assert timebank(f"member erase {new_id()} --yes --json").json["refused"] == 1


def test_a_copy_of_all_that_is_held_is_printed_or_written(made_anywhere, field):
    field()
    known = member()
    printed = timebank(f"member data {known} --json").json
    assert printed["person"]["name"] == "张三"
    assert [event["type"] for event in printed["events"]] == ["MemberRegistered"]
    shown = timebank(f"member data {known}")
    assert orjson.loads(shown.out)["person"] == printed["person"]
    said = timebank(f"member data {known} --out copy.json --json")
    assert said.json == {"member_id": known, "position": printed["position"], "file": "copy.json"}
    written = Path("copy.json")
    assert orjson.loads(written.read_bytes())["events"] == printed["events"]
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert timebank(f"member data {known} --out copy.json").code == Exit.REFUSED
    assert timebank(f"member data {NOBODY}").code == Exit.REFUSED
