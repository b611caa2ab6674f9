"""The demo's careers: social workers have certificates, learn, supervise; one supervises them."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from ledger.commands import (
    AppointSupervisor,
    ApproveAchievement,
    Command,
    RegisterCertification,
    SubmitAchievement,
    SubmitCertification,
    VerifyCertification,
)
from ledger.events import AchievementKind, Level
from ledger.units import new_id

if TYPE_CHECKING:
    from scripts.demo_past import Past, Somebody

_LEVELS: tuple[Level, ...] = ("assistant", "social_worker", "senior")
_LEVEL_WEIGHTS = (60, 32, 8)
_DEEDS: tuple[tuple[AchievementKind, dict[str, Any]], ...] = (
    ("training", {"hours": 8}),
    ("training", {"hours": 16}),
    ("supervision_received", {"hours": 2}),
    ("supervision_given", {"hours": 3}),
    ("project", {"outcome": "good"}),
    ("project", {"outcome": "excellent", "promoted": True}),
    ("case", {}),
    ("competition", {"prize": "second"}),
    ("lecture", {}),
)
_DEED_WEIGHTS = (30, 15, 20, 12, 8, 3, 6, 3, 3)
DEEDS_A_YEAR = 10
OBTAINED_DAYS = 1_500
REGISTERED_SHARE = 0.85
APPOINTED_SHARE = 0.2


class Careers:
    """What social workers have at first, and what they do on some days."""

    def __init__(self, past: "Past") -> None:
        self._past = past
        self._rng: Random = past.rng

    def certificates(self, today: date) -> Iterator[Command]:
        """A certificate each, seen by the verifier; most are registered, some may supervise."""
        rng = self._rng
        for number, somebody in enumerate(self._past.social_workers):
            code = somebody.home.organisation.code
            id, level = new_id(), rng.choices(_LEVELS, weights=_LEVEL_WEIGHTS)[0]
            obtained_on = today - timedelta(days=rng.randint(40, OBTAINED_DAYS))
            yield SubmitCertification(
                **somebody.home.by_poster(),
                certification_id=id,
                member_id=somebody.id,
                organisation=code,
                level=level,
                certificate_ref=f"证书-{rng.randint(10_000, 99_999)}",
                obtained_on=obtained_on,
            )
            by: dict[str, Any] = {
                **somebody.home.by_verifier(),
                "certification_id": id,
                "organisation": code,
            }
            yield VerifyCertification(**by)
            if number == 0 or rng.random() < REGISTERED_SHARE:
                registered_on = max(obtained_on, today - timedelta(days=rng.randint(1, 1_000)))
                yield RegisterCertification(**by, registered_on=registered_on)
                self._past.registered.append((id, somebody.home))
            if level != "assistant" and rng.random() < APPOINTED_SHARE:
                yield AppointSupervisor(
                    **somebody.home.by_verifier(),
                    appointment_id=new_id(),
                    member_id=somebody.id,
                    organisation=code,
                    unit=somebody.unit,
                    first=today,
                    last=today + timedelta(days=730),
                )

    def live_through(self, day: date) -> None:
        """Some achieve something on a day, and it is approved some days later."""
        workers = self._past.social_workers
        expected = len(workers) * DEEDS_A_YEAR / 365
        for _ in range(int(expected + self._rng.random()) if workers else 0):
            self._achieve(self._rng.choice(workers), day)

    def _achieve(self, somebody: "Somebody", day: date) -> None:
        rng, code, id = self._rng, somebody.home.organisation.code, new_id()
        kind, said = rng.choices(_DEEDS, weights=_DEED_WEIGHTS)[0]
        self._past.plan(
            self._past.moment_on(day),
            SubmitAchievement(
                **somebody.home.by_poster(),
                achievement_id=id,
                member_id=somebody.id,
                organisation=code,
                kind=kind,
                on=day,
                ref=f"证明-{rng.randint(10_000, 99_999)}",
                **said,
            ),
        )
        self._past.plan(
            self._past.moment_on(day + timedelta(days=rng.randint(1, 10))),
            ApproveAchievement(**somebody.home.by_verifier(), achievement_id=id, organisation=code),
        )
