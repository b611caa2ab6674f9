"""Every indicator of the board counted once more, by hand, from events as an auditor reads them.

Nothing of the house's own counting is used: an event is the object that `GET /v1/audit/events`
answers. Each function takes the events behind one figure, and says its value.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

Events = list[dict[str, Any]]
RECORDS = ("HoursVerified", "HoursSubmitted", "SubmittedHoursVerified", "HoursReversed")
POINTS_PROFESSIONAL, POINTS_EXPERT = 300, 600


class Recount:
    """Some events, a unit (None: all), and a date."""

    def __init__(self, events: Events, unit: str | None, day: str) -> None:
        self.events = [{"type": e["type"], "position": e["position"], **e["data"]} for e in events]
        self.day = day
        parents = {e["code"]: e.get("parent") for e in self.of("UnitAdded")}
        self.units = {None, *parents} if unit is None else _below(unit, parents)
        self.roots = [code for code, parent in parents.items() if parent is None]
        self.unit = unit
        self.homes: dict[str, str] = {}
        self.roles: dict[str, list[str]] = {}
        self.codes = {e["code"]: e["unit"] for e in self.of("OrganisationAdded")}
        for e in self.of("MemberRegistered", "MemberChanged"):
            self.homes[e["member_id"]] = e.get("unit") or self.homes[e["member_id"]]
            self.roles[e["member_id"]] = e.get("roles") or self.roles[e["member_id"]]

    def of(self, *types: str) -> Events:
        return [e for e in self.events if e["type"] in types]

    def lives_here(self, member_id: str) -> bool:
        return self.unit is None or self.homes[member_id] in self.units

    # -- people --------------------------------------------------------------------------------

    def workers(self) -> set[str]:
        return {
            m
            for m, roles in self.roles.items()
            if "community_worker" in roles and self.lives_here(m)
        }

    def revoked(self) -> dict[str, str]:
        return {e["certification_id"]: e["effective_on"] for e in self.of("CertificationRevoked")}

    def registered(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for e in self.of("CertificationRegistered", "CertificationRenewed"):
            gone = self.revoked().get(e["certification_id"], "9")
            in_force = e["in_force_from"] <= self.day <= e["in_force_to"] and self.day < gone
            if in_force and self.lives_here(e["member_id"]):
                found.setdefault(e["member_id"], []).append(e["level"])
        return found

    def achieved(self, kind: str) -> Events:
        gone = {e["achievement_id"] for e in self.of("AchievementReversed")}
        return [
            e
            for e in self.of("AchievementApproved")
            if e["source"] == kind and e["achievement_id"] not in gone
        ]

    def certification_rate(self) -> int | None:
        seen = {
            e["member_id"]
            for e in self.of("CertificationVerified")
            if self.day < self.revoked().get(e["certification_id"], "9")
        }
        return _percent(len(self.workers() & seen), len(self.workers()))

    def registration_current_rate(self) -> int | None:
        return _percent(len(self.workers() & set(self.registered())), len(self.workers()))

    def tiers(self) -> dict[str, int]:
        points: Counter[str] = Counter()
        for e in self.events:
            points[e.get("member_id", "")] += e.get("points") or 0
        found = {"CERTIFIED": 0, "PROFESSIONAL": 0, "SUPERVISING_EXPERT": 0}
        for member, levels in self.registered().items():
            projects = [e for e in self.achieved("project") if e["member_id"] == member]
            is_professional = (
                points[member] >= POINTS_PROFESSIONAL and set(levels) - {"assistant"} and projects
            )
            found["PROFESSIONAL" if is_professional else "CERTIFIED"] += 1
            assert points[member] < POINTS_EXPERT  # nobody in these stories comes so far
        return found

    def grades(self) -> dict[str, dict[str, int]]:
        now: dict[str, str] = {}
        for e in self.of("GradeComputed"):
            now[e["subject"]] = e["grade"]
        for e in self.of("GradeOverridden"):
            if e["until"] >= self.day:
                now[e["subject"]] = e["grade"]
        projects = {e["project_id"]: e["unit"] for e in self.of("ProjectBegun")}
        found: dict[str, dict[str, int]] = {}
        for subject, grade in now.items():
            kind, _, name = subject.partition(":")
            at = {**self.homes, **self.codes, **projects}.get(name)
            if grade != "UNGRADED" and (self.unit is None or at in self.units):
                by = found.setdefault(kind, {"G1": 0, "G2": 0, "G3": 0, "G4": 0})
                by[grade] += 1
        return found

    def supervisors(self) -> int:
        ends = {e["appointment_id"]: e["last"] for e in self.of("AppointmentEnded")}
        return sum(
            e["first"] <= self.day <= min(e["last"], ends.get(e["appointment_id"], "9"))
            and e["unit"] in self.units
            for e in self.of("SupervisorAppointed")
        )

    def supervision_index(self) -> int | None:
        unit = self.unit or (self.roots[0] if len(self.roots) == 1 else None)
        found = [e for e in self.of("SupervisionIndexComputed") if e["unit"] == unit]
        return max(found, key=lambda e: (e["month"], e["position"])).get("value") if found else None

    def index_inputs(self, month: str) -> dict[str, int]:
        """What a supervision index of the unit is made from, as of the last date of its month."""
        terms = {e["appointment_id"]: e for e in self.of("SupervisorAppointed")}
        for e in self.of("AppointmentEnded"):
            terms[e["appointment_id"]] = {**terms[e["appointment_id"]], "last": e["last"]}

        def leads(member_id: str | None, on: str) -> bool:
            mine = [e for e in terms.values() if e["member_id"] == member_id]
            return any(e["first"] <= on <= e["last"] for e in mine)

        records = [e for e in self.records() if e["served_on"][:7] == month and e["minutes"]]
        led = {e["member_id"] for e in records if leads(e.get("supervisor_id"), e["served_on"])}
        given = [e for e in self.achieved("supervision_given") if e["on"][:7] == month]
        applied = {e["achievement_id"]: e["on"] for e in self.of("AchievementApplied")}
        trainings = [e for e in self.achieved("training") if self.lives_here(e["member_id"])]
        ends = {e["achievement_id"]: _later(e["on"], 180) for e in trainings}
        used = {id: on for id, on in applied.items() if id in ends and on <= self.day}
        in_office = [
            e
            for e in terms.values()
            if e["first"] <= self.day <= e["last"] and e["unit"] in self.units
        ]
        stars = [
            e["stars"]
            for e in self.of("OrderRated")
            if _local(e["at"])[:7] == month and e["unit"] in self.units
        ]
        everybody = Recount([], None, self.day)
        everybody.events, everybody.homes = self.events, self.homes
        return {
            "supervised_volunteers": len(led),
            "active_volunteers": len({e["member_id"] for e in records}),
            "supervision_hours": sum(e["hours"] for e in given if self.lives_here(e["member_id"])),
            "service_minutes": sum(e["minutes"] for e in records),
            "trainings_applied": sum(on <= ends[id] for id, on in used.items()),
            "trainings_due": sum(id in used or end < self.day for id, end in ends.items()),
            "satisfied_ratings": sum(one >= 4 for one in stars),
            "ratings": len(stars),
            "registered_supervisors": sum(
                e["member_id"] in everybody.registered() for e in in_office
            ),
            "supervisors": len(in_office),
        }

    def training_conversion_rate(self) -> int | None:
        applied = {e["achievement_id"]: e["on"] for e in self.of("AchievementApplied")}
        due = good = 0
        for e in self.achieved("training"):
            if not self.lives_here(e["member_id"]):
                continue
            end = str(date.fromisoformat(e["on"]) + timedelta(days=180))
            used = applied.get(e["achievement_id"])
            due += used is not None or end < self.day
            good += used is not None and used <= end
        return _percent(good, due)

    def competition_entrants(self) -> int:
        entered = {e["member_id"] for e in self.achieved("competition")}
        return sum(map(self.lives_here, entered))

    def lectures(self) -> int:
        return sum(self.lives_here(e["member_id"]) for e in self.achieved("lecture"))

    # -- needs and orders ----------------------------------------------------------------------

    def steps(self, kind: str) -> Events:
        units = {e["order_id"]: e["unit"] for e in self.of("OrderPlaced")}
        return [e for e in self.of(kind) if units[e["order_id"]] in self.units]

    def assessed(self, kind: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        needs = {e["need_id"]: e for e in self.of("NeedReported")}
        found = [(needs[e["need_id"]], e) for e in self.of(kind)]
        return [(need, e) for need, e in found if need["unit"] in self.units]

    def satisfaction_rate(self) -> int | None:
        stars = [e["stars"] for e in self.steps("OrderRated")]
        return _percent(sum(one >= 4 for one in stars), len(stars))

    def rating_coverage(self) -> int | None:
        return _percent(len(self.steps("OrderRated")), len(self.steps("OrderCompleted")))

    def acceptance_rate(self) -> int | None:
        asked = [len(self.steps(f"Order{end}")) for end in ("Accepted", "Declined", "TimedOut")]
        return _percent(asked[0], sum(asked))

    def needs_resolved(self) -> int:
        return len(self.assessed("NeedResolved"))

    def time_to_assess_minutes(self) -> int | None:
        return _median([_minutes(need["at"], e["at"]) for need, e in self.assessed("NeedAssessed")])

    def accept_latency_minutes(self) -> int | None:
        return _median([e["waited_minutes"] for e in self.steps("OrderAccepted")])

    # -- records and credits -------------------------------------------------------------------

    def records(self) -> Events:
        """What is verified and stands, each with what was posted and what it came to."""
        posted: dict[str, dict[str, Any]] = {}
        standing: dict[str, dict[str, Any]] = {}
        for e in self.of(
            "HoursVerified", "HoursSubmitted", "SubmittedHoursVerified", "HoursReversed"
        ):
            id = e["record_id"]
            if e["type"] == "HoursReversed":
                standing.pop(id)
                continue
            posted.setdefault(id, e)
            if e["type"] != "HoursSubmitted":
                standing[id] = {**posted[id], **e}
        return [e for e in standing.values() if e["place"] in self.units]

    def on_time_recording_rate(self) -> int | None:
        records = self.records()
        return _percent(sum(not e["late"] for e in records), len(records))

    def backfill_share(self) -> int | None:
        records = self.records()
        return _percent(sum(e["evidence"] == "backfilled" for e in records), len(records))

    def overlap_minutes(self) -> int:
        return sum(e["overlap_minutes"] for e in self.records())

    def capped_credits(self) -> int:
        return sum(e.get("capped", 0) for e in self.records())

    def accounts(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for e in self.events:
            for account, credits in e.get("entries", ()):
                found[account] += credits
        return found

    def persons(self) -> int:
        return sum(
            credits
            for account, credits in self.accounts().items()
            if account.startswith("person:")
            and not account.endswith("receivable")
            and self.lives_here(account.split(":")[1])
        )

    def pool_balance(self) -> int:
        total = 0
        for account, credits in self.accounts().items():
            kind, _, rest = account.partition(":")
            if kind == "pool":
                total += credits if self.unit is None else 0
            elif kind == "org":
                here = self.unit is None or self.codes[rest.removesuffix(":pool")] in self.units
                total += credits if here else 0
        return total

    def credits_outstanding(self) -> int:
        return self.persons() + self.pool_balance()

    def redemption_ratio(self) -> int | None:
        """Both by where the member lived when it was earned or redeemed."""
        earned = redeemed = 0
        homes: dict[str, str] = {}

        def here(member_id: str) -> bool:
            return self.unit is None or homes[member_id] in self.units

        for e in self.events:
            match e["type"]:
                case "MemberRegistered" | "MemberChanged":
                    homes[e["member_id"]] = e.get("unit") or homes[e["member_id"]]
                case "HoursVerified" | "SubmittedHoursVerified" | "HoursReversed":
                    lines = dict(map(tuple, e["entries"]))
                    if here(e["member_id"]):
                        earned -= lines.get("issue:service", 0)
                    for account, credits in e["entries"]:
                        who = account.split(":")[1]
                        if account.startswith("person:") and who != e["member_id"] and here(who):
                            redeemed -= credits  # it went back to whom had paid
                case "RedemptionFulfilled" | "OrderSettled" if here(e["member_id"]):
                    redeemed += e["credits"]
        return _percent(redeemed, earned) if earned > 0 else None

    # -- the lots ------------------------------------------------------------------------------

    def lots(self) -> dict[str, list[list[Any]]]:
        """What is left of each person's lots: date, position, credits; spent oldest first.

        Good for stories in which nothing older is received while something is held.
        """
        found: dict[str, list[list[Any]]] = {}
        for e in self.events:
            changes: Counter[str] = Counter()
            for account, credits in e.get("entries", ()):
                kind, _, rest = account.partition(":")
                if kind == "person" and not rest.endswith("receivable"):
                    changes[rest.partition(":")[0]] += credits
            for member, credits in changes.items():
                mine = found.setdefault(member, [])
                if credits > 0:
                    dated = e.get("on") or e["served_on"]  # what goes back is received anew
                    mine.append([dated, e["position"], credits])
                    mine.sort()
                own = {e.get("reverses"), e.get("paid_at")}
                for lot in sorted(mine, key=lambda lot: (lot[1] not in own, *lot[:2])):
                    taken = min(lot[2], max(0, -credits))
                    lot[2] -= taken
                    credits += taken
        return found

    def lot_age_days(self) -> int | None:
        today = date.fromisoformat(self.day)
        lots = [lot for m, mine in self.lots().items() if self.lives_here(m) for lot in mine]
        weighted = sum((today - date.fromisoformat(on)).days * left for on, _, left in lots)
        credits = sum(left for _, _, left in lots)
        return round(Fraction(weighted * 100, credits)) if credits else None

    # -- the field -----------------------------------------------------------------------------

    def filed(self, kind: str, gone: Iterable[str], id: str) -> Events:
        ended = {e[id] for e in self.of(*gone)}
        return [e for e in self.of(kind) if e[id] not in ended and e["unit"] in self.units]

    def in_term(self, kind: str, ends: str, id: str) -> Events:
        last = {e[id]: e["last"] for e in self.of(ends)}
        return [
            e
            for e in self.of(kind)
            if e["first"] <= self.day <= min(e.get("last") or "9", last.get(e[id], "9"))
            and e["unit"] in self.units
        ]

    def converted_categories(self) -> int:
        begun = self.filed("ConversionBegun", ["ConversionWithdrawn"], "conversion_id")
        done = {
            e["conversion_id"] for e in self.of("ConversionAdvanced") if e["stage"] == "redesign"
        }
        return len({e["category"] for e in begun if e["conversion_id"] in done})

    def cases(self) -> int:
        gone = {e["case_id"] for e in self.of("CaseWithdrawn")}
        return sum(
            self.unit is None or self.codes[e["organisation"]] in self.units
            for e in self.of("CaseFiled")
            if e["case_id"] not in gone
        )

    def reached(self, stage: str) -> int:
        begun = self.filed("ProjectBegun", ["ProjectWithdrawn"], "project_id")
        there = {e["project_id"] for e in self.of("ProjectAdvanced") if e["stage"] == stage}
        return sum(e["project_id"] in there for e in begun)

    def projects_incubated(self) -> int:
        return self.reached("incubated")

    def projects_promoted(self) -> int:
        return self.reached("promoted")

    def promotion_rate(self) -> int | None:
        return _percent(self.reached("promoted"), self.reached("incubated"))

    def partners(self) -> int:
        found = self.in_term("PartnerAdded", "PartnerEnded", "partner_id")
        return sum(e["kind"] == "partner" for e in found)

    def bases(self) -> int:
        found = self.in_term("PartnerAdded", "PartnerEnded", "partner_id")
        return sum(e["kind"] == "base" for e in found)

    def experts(self) -> int:
        return len(self.in_term("ExpertNamed", "ExpertEnded", "expert_id"))

    def pairs(self) -> int:
        amended = {e["agreement_id"]: e["last"] for e in self.of("AgreementAmended")}
        for e in self.of("AgreementSigned"):
            e["last"] = amended.get(e["agreement_id"], e["last"])
        return len(self.in_term("AgreementSigned", "AgreementEnded", "agreement_id"))


def differences(
    board: list[dict[str, Any]], events_of: Callable[[str], Events], but: str = ""
) -> list[str]:
    """Where a board is not what its own events come to; `events_of` follows a link."""
    found = []
    for kpi in board:
        if kpi["id"] in ("targets", but):  # targets stand beside the others
            continue
        recount = Recount(events_of(kpi["events"]), kpi["unit"], kpi["as_of"])
        said, counted = kpi["value"], getattr(recount, kpi["id"])()
        if kpi["id"] in ("tiers", "grades"):
            said = kpi["inputs"]
        if said != counted:
            found.append(f"{kpi['id']} of {kpi['unit']} on {kpi['as_of']}: {said}, not {counted}")
    return found


def _later(on: str, days: int) -> str:
    return str(date.fromisoformat(on) + timedelta(days=days))


def _local(at: str) -> str:
    """The date of an instant in Shanghai."""
    return str((datetime.fromisoformat(at) + timedelta(hours=8)).date())


def _below(unit: str, parents: dict[str, str | None]) -> set[str | None]:
    found: set[str | None] = {unit}
    while more := {code for code, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _percent(part: int, whole: int) -> int | None:
    return round(Fraction(part * 10_000, whole)) if whole else None


def _median(numbers: list[int]) -> int | None:
    if not numbers:
        return None
    ordered = sorted(numbers)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return round(Fraction((low + high) * 100, 2))


def _minutes(earlier: str, later: str) -> int:
    span = datetime.fromisoformat(later) - datetime.fromisoformat(earlier)
    return int(span.total_seconds() // 60)
