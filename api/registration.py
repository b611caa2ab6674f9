"""How people become members: vault and journal share no transaction, and yet agree in the end.

First the desk is asked what it would say, so that a refusal leaves no trace; then the vault's row
is begun, by which no one is found yet; then the fact is recorded; then the row is active. Whoever
breaks off in between leaves a row that the next one with the same `external_ref` finishes, under
the same id. The functions here wait for the stores: they are for threads, and for the CLI.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import orjson

from api.asks import MemberAsk, MemberChangeAsk, PersonAsk
from api.contract import Fields
from ledger.commands import ChangeMember, Command, JoinMember, RegisterMember, Stamp
from ledger.desk import Answer, Busy, Done, Job, Mode, Once, Outcome
from ledger.personal_data import Person, normalise
from ledger.rules.members import Member
from ledger.units import Refused, new_id
from ledger.vault import Erased, Known, Newcomer

if TYPE_CHECKING:
    from ledger.opening import Ledger


@dataclass(slots=True)
class Registration:
    """People whom one organisation asks to register, one or many together."""

    organisation: str
    asks: Sequence[MemberAsk]
    stamp: Stamp
    mode: Mode = "one"
    once: Once | None = None
    dry_run: bool = False
    spoilt: bool = False  # of what these are a part of, something is refused already
    newcomers: list[Newcomer] = field(init=False)

    def __post_init__(self) -> None:
        self.newcomers = [
            Newcomer(new_id(), ask.external_ref, person_of(ask.person)) for ask in self.asks
        ]


Worded = Callable[[Outcome], tuple[int, Fields]]
"""Status and body, of what the desk has decided (its commands in the order of the asks)."""


def register(ledger: "Ledger", asked: Registration, word: Worded) -> Answer:
    """Make members of those who are new, let those who are known join; the answer that `word` says.

    Raises what the desk raises. Of two at once with one reference or document, one makes the
    member and the other meets it.
    """
    known = _meet(ledger, asked)
    would = _ask(ledger, asked, known, word, dry_run=True)
    if would.answer.replayed:
        return _finish_replay(ledger, would.answer)
    if asked.dry_run or would.answer.status >= 300:  # all or nothing, and so nothing
        return would.answer

    known = _begin(ledger, asked, known, would.taken)
    begun = _new_ids(asked, known, would.taken)
    try:
        did = _ask(ledger, asked, known, word)
    except Refused:
        _drop(ledger, begun)
        raise  # any other error leaves open what was recorded: the rows stay, to be finished
    if did.answer.replayed:
        _drop(ledger, begun)
        return _finish_replay(ledger, did.answer)
    recorded = {there.member_id for there, yes in zip(known, did.taken, strict=True) if yes}
    _drop(ledger, begun - recorded)
    _settle(ledger, asked, known, recorded)
    return did.answer


def register_one(ledger: "Ledger", asked: Registration) -> Answer:
    """The same for one person, answered as CONTRACT 2 says: 201, or 200 where nothing is new."""

    def word(outcome: Outcome) -> tuple[int, Fields]:
        (done,) = outcome.results
        assert isinstance(done, Done)  # noqa: S101  (a refusal is raised where one is asked)
        command = done.command
        made = isinstance(command, RegisterMember) and done.entries
        member_id: str = command.member_id  # type: ignore[attr-defined]
        return 201 if made else 200, told(member_id, done.states["member"], asked.organisation)

    return register(ledger, asked, word)


@dataclass(slots=True)
class _Asked:
    """What the desk said, and which of the commands it took."""

    answer: Answer
    taken: list[bool]


def _ask(
    ledger: "Ledger",
    asked: Registration,
    known: Sequence[Known],
    word: Worded,
    *,
    dry_run: bool = False,
) -> _Asked:
    taken: list[bool] = []

    def answer(outcome: Outcome) -> Answer:
        outcome.results = [_unfinished(result) for result in outcome.results]
        status, body = word(outcome)
        if asked.dry_run:
            body.pop("position", None)
            body["dry_run"] = True
        elif outcome.position is not None:
            body["position"] = outcome.position
        taken[:] = [isinstance(result, Done) for result in outcome.results]
        return Answer(status, orjson.dumps(body))

    commands = [_command(asked, ask, there) for ask, there in zip(asked.asks, known, strict=True)]
    job = Job(commands, answer, asked.mode, asked.once, dry_run, asked.spoilt)
    try:
        return _Asked(ledger.desk.ask_now(job), taken)
    except Refused as refused:
        if _unfinished(refused) is not refused:
            raise Busy from None
        raise


def _command(asked: Registration, ask: MemberAsk, there: Known) -> Command:
    if there.home_organisation != asked.organisation:
        return JoinMember(
            **asked.stamp,
            member_id=there.member_id,
            organisation=asked.organisation,
            consent_ref=ask.consent_ref,
        )
    return RegisterMember(
        **asked.stamp,
        member_id=there.member_id,
        organisation=asked.organisation,
        roles=ask.roles,
        unit=ask.unit,
        born_on=person_of(ask.person).normalised().born_on(),
    )


def _unfinished(result: Done | Refused) -> Done | Refused:
    """Who joins somebody whom the home organisation is registering this moment comes again."""
    if isinstance(result, Refused) and result.code == "not_found" and result.pointer is None:
        return Refused("busy")
    return result


def _meet(ledger: "Ledger", asked: Registration) -> list[Known]:
    """Who each is, as far as the vault knows and as they stand twice in what is asked."""
    found = ledger.vault.who_is(asked.organisation, asked.newcomers)
    met: dict[tuple[str, ...], Known] = {}
    known: list[Known] = []
    for newcomer, there in zip(asked.newcomers, found, strict=True):
        names = _names(newcomer)
        if there is None:
            there = next((met[name] for name in names if name in met), None)
        if there is None:
            there = Known(newcomer.member_id, "pending", asked.organisation, "")
        for name in names:
            met.setdefault(name, there)
        known.append(there)
    return known


def _names(newcomer: Newcomer) -> list[tuple[str, ...]]:
    """What tells that two newcomers are one: the reference, the document."""
    names: list[tuple[str, ...]] = []
    if newcomer.external_ref is not None:
        names.append(("ref", normalise("external_ref", newcomer.external_ref)))
    person = newcomer.person.normalised()
    if person.document_number is not None:
        names.append(("document", person.document_kind or "", person.document_number))
    return names


def _begin(
    ledger: "Ledger", asked: Registration, known: Sequence[Known], taken: Sequence[bool]
) -> list[Known]:
    """Begin a row for each who would be taken; the others are asked for as they are."""
    chosen = [newcomer for newcomer, yes in zip(asked.newcomers, taken, strict=True) if yes]
    begun = iter(ledger.vault.begin(asked.organisation, chosen, datetime.now(UTC)))
    return [next(begun) if yes else there for there, yes in zip(known, taken, strict=True)]


def _new_ids(asked: Registration, known: Sequence[Known], taken: Sequence[bool]) -> set[str]:
    return {
        there.member_id
        for newcomer, there, yes in zip(asked.newcomers, known, taken, strict=True)
        if yes and there.member_id == newcomer.member_id
    }


def _drop(ledger: "Ledger", begun: Iterable[str]) -> None:
    """Take away rows whose fact does not come."""
    for member_id in begun:
        ledger.vault.drop(member_id)


def _settle(
    ledger: "Ledger", asked: Registration, known: Sequence[Known], recorded: set[str]
) -> None:
    """The facts stand: let the members be found, and the references lead to them."""
    active = ledger.vault.activate(recorded)
    for newcomer, there in zip(asked.newcomers, known, strict=True):
        if there.member_id not in recorded:
            continue
        if there.member_id not in active:
            _begin_again(ledger, asked.organisation, newcomer, there.member_id)
        elif newcomer.external_ref is not None and there.by == "document":
            try:
                met = ledger.vault.add_ref(
                    asked.organisation, there.member_id, newcomer.external_ref
                )
            except Erased:  # just now
                raise Refused("person_erased") from None
            if met.member_id != there.member_id:
                raise Refused("person_known_otherwise")


def _begin_again(ledger: "Ledger", organisation: str, newcomer: Newcomer, member_id: str) -> None:
    """Whoever had begun the row was refused and dropped it, while the fact came from here.

    Where the row is not active because the person was erased meanwhile, nothing is begun.
    """
    if ledger.vault.is_erased(member_id):
        return
    again = replace(newcomer, member_id=member_id)
    (there,) = ledger.vault.begin(organisation, [again], datetime.now(UTC))
    if there.member_id == member_id:
        ledger.vault.activate([member_id])


def _finish_replay(ledger: "Ledger", said: Answer) -> Answer:
    """The first time may have broken off after the fact and before its row was active."""
    body = orjson.loads(said.body)
    ids = [one["id"] for one in (body, *body.get("results", ())) if "id" in one]
    if ids:
        ledger.vault.activate(ids)
    return said


# --- changing ------------------------------------------------------------------------------------


def change(
    ledger: "Ledger",
    member_id: str,
    ask: MemberChangeAsk,
    stamp: Stamp,
    organisation: str | None,
    *,
    dry_run: bool = False,
) -> Answer:
    """Change a member's roles, unit and person; `organisation` is None for an administrator.

    The desk is asked first whether it may be, then the vault is changed, then the fact recorded:
    broken off in between, the same request does the rest.
    """
    erased = ask.person is not None and ledger.vault.is_erased(member_id)
    changes, born_on = ({}, None) if erased else _person_changes(ledger, member_id, ask)
    command = ChangeMember(
        **stamp,
        member_id=member_id,
        organisation=organisation,
        roles=ask.roles,
        unit=ask.unit,
        person=erased or bool(changes),  # of an erased person everything is refused
        born_on=born_on,
    )
    would = _ask_for_change(ledger, command, dry_run=True, told_so=dry_run)
    if erased:  # and the fact has not come yet
        raise Refused("person_erased")
    if dry_run:
        return would
    if changes:
        try:
            known = ledger.vault.change(member_id, changes)
        except Erased:  # meanwhile
            raise Refused("person_erased") from None
        except KeyError:
            raise Refused("not_found", what=member_id) from None
        if known.member_id != member_id:
            raise Refused("person_known_otherwise", pointer="/person/document_number")
    return _ask_for_change(ledger, command)


def _person_changes(
    ledger: "Ledger", member_id: str, ask: MemberChangeAsk
) -> tuple[dict[str, str | None], date | None]:
    """The person's fields that would be other than they are held now; the date of birth then."""
    if ask.person is None:
        return {}, None
    held = ledger.vault.read_in_full(member_id)
    now = Person() if held is None else held.person
    asked = ask.person.model_dump(mode="json", exclude_unset=True)
    changes = {
        name: value
        for name, value in asked.items()
        if getattr(now, name) != (None if value is None else normalise(name, value))
    }
    return changes, replace(now, **changes).normalised().born_on()


def _ask_for_change(
    ledger: "Ledger", command: ChangeMember, *, dry_run: bool = False, told_so: bool = False
) -> Answer:
    def answer(outcome: Outcome) -> Answer:
        (done,) = outcome.results
        assert isinstance(done, Done)  # noqa: S101  (a refusal is raised where one is asked)
        body = told(command.member_id, done.states["member"], command.organisation)
        if told_so:
            del body["position"]
            body["dry_run"] = True
        return Answer(200, orjson.dumps(body))

    return ledger.desk.ask_now(Job([command], answer, dry_run=dry_run))


# --- people --------------------------------------------------------------------------------------


def person_of(ask: PersonAsk | None) -> Person:
    """The person as the vault holds them."""
    return Person() if ask is None else Person(**ask.model_dump(mode="json"))


def told(member_id: str, state: Member, organisation: str | None) -> Fields:
    """A member as a write answers it; an organisation that has joined learns the id alone."""
    said: Fields = {"id": member_id}
    if organisation in (None, state.home):
        said["roles"] = list(state.roles)
        said["unit"] = state.unit
        said["home_organisation"] = state.home
    said["position"] = state.position
    return said


def position_in(said: Answer) -> int | None:
    """The position that an answer tells."""
    position: int | None = orjson.loads(said.body).get("position")
    return position
