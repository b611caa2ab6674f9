"""Service statements: what counts, what is said beside it, and what supersedes them."""

import re
from datetime import date

from hypothesis import given as any_of
from hypothesis import strategies as st

from ledger import commands
from ledger.events import (
    CredentialIssued,
    CredentialRevoked,
    HoursReversed,
    HoursSubmitted,
    HoursVerified,
    StatementIssued,
    StatementRevoked,
    StatementSuperseded,
)
from ledger.paper_numbers import (
    ALPHABET,
    code_digest,
    code_of,
    is_code,
    new_number,
    number_read,
)
from ledger.rules.statements import ACTIVITIES_MAX
from ledger.units import new_id
from tests.rules.asked import ADMIN, correct, reject, reverse, verify
from tests.rules.town import LI, OTHER, STAMP, ZHANG, policy, town, visit


def state_all(first="2026-01-01", last="2026-12-31", by="org-a", **other):
    said = {
        "number": new_number("ST"),
        "code_digest": "d" * 64,
        "member_id": ZHANG,
        "organisation": by,
        "first": date.fromisoformat(first),
        "last": date.fromisoformat(last),
    }
    return commands.IssueStatement(**STAMP, **(said | other))


def revoke(number, by="org-a"):
    return commands.RevokeStatement(**STAMP, number=number, organisation=by, reason="有误")


def posted(given, *visits):
    """The ids of records that count at once."""
    return [given.when(visit).then(HoursVerified).record_id for visit in visits]


# --- what it states ------------------------------------------------------------------------------


def test_verified_120_90_100_the_90_reversed_and_60_pending_is_220_minutes():
    given = town()
    _, ninety, _ = posted(
        given,
        visit("08:00", "10:00", on="2026-03-05"),
        visit("08:00", "09:30", on="2026-03-06"),
        visit("08:00", "09:40", on="2026-03-07", activity="社区巡逻", category="safety"),
    )
    given.given(reverse(ninety))
    given.when(visit("08:00", "09:00", on="2026-03-08", evidence="backfilled")).then(HoursSubmitted)
    fact = given.when(state_all()).then(
        StatementIssued,
        minutes=220,
        records=2,
        pending_records=1,
        pending_minutes=60,
        late_minutes=None,
        on_duty_records=None,
        title_zh="平台服务记录",
        issued_on="2026-03-10",
        policy_version=1,
    )
    assert fact.activities == (
        ("陪伴就医", "elderly", "2026-03-05", "2026-03-05", 1, 120, 0),
        ("社区巡逻", "safety", "2026-03-07", "2026-03-07", 1, 100, 0),
    )


def test_late_minutes_count_and_are_marked():
    given = town()
    posted(given, visit(on="2026-01-05"), visit(on="2026-03-09"))
    fact = given.when(state_all()).then(StatementIssued, minutes=240, late_minutes=120)
    assert fact.activities == (("陪伴就医", "elderly", "2026-01-05", "2026-03-09", 2, 240, 120),)


def test_paid_work_is_left_out_and_said():
    given = town()
    posted(given, visit(), visit("17:00", "18:30", capacity="on_duty", professional=True))
    given.when(state_all()).then(
        StatementIssued, minutes=120, records=1, on_duty_records=1, on_duty_minutes=90
    )


def test_a_statement_counts_only_the_issuers_records_of_its_period():
    given = town()
    posted(
        given,
        visit(on="2026-02-28"),
        visit(on="2026-03-01"),
        visit(on="2026-03-05"),
        visit(on="2026-03-06"),
        visit(on="2026-03-02", by="org-b"),
    )
    given.when(state_all("2026-03-01", "2026-03-05")).then(StatementIssued, minutes=240, records=2)
    given.when(state_all(by="org-b")).then(StatementIssued, minutes=120, records=1)


def test_minutes_that_were_counted_before_are_not_stated_again():
    given = town()
    posted(given, visit("14:00", "16:00", by="org-b"), visit("15:30", "17:00"))
    given.when(state_all()).then(StatementIssued, minutes=60)


def test_a_record_that_was_verified_later_counts_as_any_other():
    given = town()
    waits = given.when(visit(evidence="backfilled")).then(HoursSubmitted)
    given.given(verify(waits.record_id, **OTHER))
    given.when(state_all()).then(StatementIssued, minutes=120, pending_records=None)


def test_paid_work_that_was_verified_later_is_left_out_and_said():
    given = town()
    posted(given, visit())
    on_duty = visit("17:00", "18:30", evidence="backfilled", capacity="on_duty", professional=True)
    waits = given.when(on_duty).then(HoursSubmitted)
    given.given(verify(waits.record_id, **OTHER))
    given.when(state_all()).then(StatementIssued, on_duty_records=1, on_duty_minutes=90)


def test_what_was_rejected_waits_no_more():
    given = town()
    posted(given, visit())
    waits = given.when(visit("17:00", "18:00", evidence="backfilled")).then(HoursSubmitted)
    given.given(reject(waits.record_id, **OTHER))
    given.when(state_all()).then(StatementIssued, pending_records=None, pending_minutes=None)


def test_the_title_is_the_policys_of_the_day_of_issue():
    given = town().given(
        policy("2026-03-10", proof_title={"zh": "志愿服务记录", "en": "Record of service"})
    )
    posted(given, visit())
    given.when(state_all()).then(
        StatementIssued, title_zh="志愿服务记录", title_en="Record of service", policy_version=2
    )


def test_where_activities_are_too_many_the_table_tells_categories():
    given = town()
    for place in range(ACTIVITIES_MAX + 1):
        hour, minute = divmod(place * 5, 60)
        start, end = f"{hour:02}:{minute:02}", f"{hour:02}:{minute + 4:02}"
        posted(given, visit(start, end, activity=f"活动 {place}"))
    fact = given.when(state_all()).then(StatementIssued, records=ACTIVITIES_MAX + 1)
    total = 4 * (ACTIVITIES_MAX + 1)
    assert fact.activities == (
        ("", "elderly", "2026-03-09", "2026-03-09", ACTIVITIES_MAX + 1, total, 0),
    )


def test_a_member_asks_the_home_organisation_where_none_is_named():
    given = town()
    posted(given, visit(), visit("17:00", "18:00", by="org-b"))
    given.when(state_all(by=None)).then(StatementIssued, organisation="org-a", minutes=120)


@any_of(st.lists(st.sampled_from(["keep", "reverse", "wait", "on_duty"]), min_size=1, max_size=12))
def test_a_statement_is_the_sum_of_its_activities_and_of_what_stands(kinds):
    given, stands = town(), 0
    for place, kind in enumerate(kinds):
        start = f"{place:02}:00"
        post = visit(start, f"{place:02}:{10 + place}", activity=f"活动 {place % 3}")
        if kind == "wait":
            post.evidence = "backfilled"
        elif kind == "on_duty":
            post.capacity = "on_duty"
        given.given(post)
        if kind == "reverse":
            given.given(reverse(post.record_id))
        elif kind == "keep":
            stands += 10 + place
    answer = given.when(state_all())
    if not stands:
        answer.then_refused("nothing_to_state")
        return
    fact = answer.then(StatementIssued, minutes=stands, records=kinds.count("keep"))
    assert sum(row[5] for row in fact.activities) == stands
    assert sum(row[4] for row in fact.activities) == fact.records
    assert (fact.pending_records or 0) == kinds.count("wait")
    assert (fact.on_duty_records or 0) == kinds.count("on_duty")


# --- refusals ------------------------------------------------------------------------------------


def test_who_is_unknown_to_an_organisation_gets_no_statement_from_it():
    given = town()
    given.when(state_all(member_id=new_id())).then_refused("not_found")
    given.when(state_all(by="org-c")).then_refused("not_found")
    given.when(state_all(by="org-c", named=True)).then_refused("not_found", "/organisation")


def test_nothing_verified_is_nothing_to_state():
    given = town()
    given.given(visit(evidence="backfilled"))
    given.when(state_all()).then_refused("nothing_to_state")


def test_no_statement_is_made_of_somebody_who_is_not_held_any_more():
    given = town()
    posted(given, visit())
    given.when(state_all(code_digest="")).then_refused("person_erased")
    given.given(commands.ErasePerson(**ADMIN, member_id=ZHANG, reason="request"))
    given.when(state_all()).then_refused("person_erased")


def test_a_number_is_given_once():
    given = town()
    posted(given, visit())
    first = given.when(state_all()).then(StatementIssued)
    given.when(state_all(number=first.number)).then_refused("number_taken")


# --- superseded and revoked ----------------------------------------------------------------------


def stated(*visits):
    given = town()
    records = posted(given, *visits)
    return given, given.when(state_all()).then(StatementIssued).number, records


def status(given, number):
    return given.state(f"statement:{number}").status


def test_a_reversal_supersedes_the_statements_that_counted_the_record():
    given, number, (record_id,) = stated(visit())
    other = given.when(state_all("2026-01-01", "2026-02-01"))
    other.then_refused("nothing_to_state")
    given.when(reverse(record_id)).then_both(
        (HoursReversed, {"minutes": -120}),
        (StatementSuperseded, {"number": number, "record_id": record_id}),
    )
    assert status(given, number) == "superseded"


def test_a_correction_supersedes_too():
    given, number, (record_id,) = stated(visit())
    given.given(correct(record_id, activity="送餐"))
    assert status(given, number) == "superseded"


def test_what_a_statement_did_not_count_does_not_supersede_it():
    given = town()
    (elsewhere,) = posted(given, visit(on="2026-03-04", by="org-b"))
    posted(given, visit(on="2026-03-02"))
    number = given.when(state_all()).then(StatementIssued).number
    (later,) = posted(given, visit(on="2026-03-03"))
    given.given(reverse(later), reverse(elsewhere, organisation="org-b"))
    waits = given.when(visit(on="2026-03-05", evidence="backfilled")).then(HoursSubmitted)
    given.given(reject(waits.record_id, **OTHER))
    assert status(given, number) == "valid"


def test_a_statement_of_another_period_stands():
    given = town()
    first, second = posted(given, visit(on="2026-02-02"), visit(on="2026-03-02"))
    number = given.when(state_all("2026-03-01", "2026-03-31")).then(StatementIssued).number
    given.given(reverse(first))
    assert status(given, number) == "valid"
    given.given(reverse(second))
    assert status(given, number) == "superseded"


def test_paid_work_that_is_reversed_supersedes_nothing():
    given, number, (_, on_duty) = stated(
        visit(), visit("17:00", "18:00", capacity="on_duty", professional=True)
    )
    given.given(reverse(on_duty))
    assert status(given, number) == "valid"


def test_a_statement_is_superseded_once():
    given, number, (first, second) = stated(visit(), visit("17:00", "18:00"))
    given.given(reverse(first))
    given.when(reverse(second)).then(HoursReversed)
    assert status(given, number) == "superseded"


def test_another_members_statements_stand():
    given, _, (record_id,) = stated(visit())
    posted(given, visit(member_id=LI, receipt="L-1"))
    of_li = given.when(state_all(member_id=LI)).then(StatementIssued).number
    given.given(reverse(record_id))
    assert status(given, of_li) == "valid"


def test_the_issuer_revokes_what_is_valid():
    given, number, (record_id,) = stated(visit())
    given.when(revoke(number, by="org-b")).then_refused("not_found")
    given.when(revoke(new_number("ST"))).then_refused("not_found")
    given.when(revoke(number)).then(StatementRevoked, reason="有误")
    given.when(revoke(number)).then_refused("wrong_state")
    given.when(reverse(record_id)).then(HoursReversed)  # and supersedes it no more


# --- credentials ---------------------------------------------------------------------------------


def certified(given, *, registered_on=None, revoked_on=None):
    """The id of a certificate of Zhang's."""
    id = new_id()
    about = {"certification_id": id, "organisation": "org-a"}
    given.given(
        commands.SubmitCertification(
            **STAMP,
            **about,
            member_id=ZHANG,
            level="assistant",
            certificate_ref="C-1",
            obtained_on=date(2022, 1, 10),
        ),
        commands.VerifyCertification(**OTHER, **about),
    )
    if registered_on:
        day = date.fromisoformat(registered_on)
        given.given(commands.RegisterCertification(**STAMP, **about, registered_on=day))
    if revoked_on:
        day = date.fromisoformat(revoked_on)
        given.given(commands.RevokeCertification(**STAMP, **about, effective_on=day, reason="无效"))
    return id


def attest(certification_id, by="org-a", **other):
    return commands.IssueCredential(
        **STAMP,
        **({"number": new_number("CR")} | other),
        certification_id=certification_id,
        organisation=by,
    )


def test_a_certification_is_attested_with_its_registration():
    given = town()
    given.when(attest(certified(given, registered_on="2025-09-01"))).then(
        CredentialIssued,
        level="assistant",
        obtained_on="2022-01-10",
        in_force_from="2025-09-01",
        in_force_to="2028-08-31",
        issued_on="2026-03-10",
    )
    given.when(attest(certified(given))).then(CredentialIssued, in_force_to=None)


def test_only_what_is_verified_and_has_not_lapsed_is_attested():
    given = town()
    id = new_id()
    given.given(
        commands.SubmitCertification(
            **STAMP,
            certification_id=id,
            organisation="org-a",
            member_id=ZHANG,
            level="senior",
            certificate_ref="C-2",
            obtained_on=date(2025, 1, 10),
        )
    )
    given.when(attest(id)).then_refused("wrong_state")
    given.when(attest(certified(given, registered_on="2022-03-01"))).then_refused("wrong_state")
    revoked = certified(given, registered_on="2025-09-01", revoked_on="2026-01-01")
    given.when(attest(revoked)).then_refused("wrong_state")


def test_only_its_organisation_and_its_member_have_a_certification_attested():
    given = town()
    id = certified(given)
    given.when(attest(id, by="org-b")).then_refused("not_found")
    given.when(attest(new_id())).then_refused("not_found")
    given.when(attest(id, by=None, member_id=LI)).then_refused("not_found")
    given.when(attest(id, by=None, member_id=ZHANG)).then(CredentialIssued)


def test_a_credential_is_revoked_once_by_its_issuer():
    given = town()
    number = given.when(attest(certified(given))).then(CredentialIssued).number

    def revoked(by="org-a", number=number):
        return commands.RevokeCredential(**STAMP, number=number, organisation=by, reason="有误")

    given.when(revoked(by="org-b")).then_refused("not_found")
    given.when(revoked(number=new_number("CR"))).then_refused("not_found")
    given.when(revoked()).then(CredentialRevoked, reason="有误")
    given.when(revoked()).then_refused("wrong_state")
    given.when(attest(certified(given), number=number)).then_refused("number_taken")


# --- numbers and codes ---------------------------------------------------------------------------


def test_numbers_and_codes_have_one_spelling_and_read_as_they_are_typed():
    number = new_number("ST")
    code = code_of(bytes(range(10)))
    assert re.fullmatch(rf"ST(-[{ALPHABET}]{{4}}){{3}}", number)
    assert re.fullmatch(rf"[{ALPHABET}]{{4}}(-[{ALPHABET}]{{4}}){{3}}", code)
    assert number_read(f"  {number.lower().replace('-', ' ')} ") == number
    assert number_read("st-ilo0-0000-0000") == "ST-1100-0000-0000"
    digest = code_digest(number, code)
    assert is_code(number, f" {code.lower().replace('-', '')} ", digest)
    assert not is_code(number, code[:-1], digest)
    assert not is_code(new_number("ST"), code, digest)
    assert not is_code(number, "", "")


@any_of(st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_every_secret_has_a_code_of_its_own(one, other):
    assert (code_of(one) == code_of(other)) == (one == other)


def test_an_administrator_revokes_any():
    given, number, _ = stated(visit())
    asked = commands.RevokeStatement(**ADMIN, number=number, organisation=None, reason="有误")
    given.when(asked).then(StatementRevoked)
