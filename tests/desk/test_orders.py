"""Orders at a real desk, that forgets all it knows now and then, come to what the rules say."""

from datetime import timedelta
from random import Random

import pytest

from ledger.commands import Command, JoinMember
from ledger.events import encode
from ledger.store import Store
from ledger.units import Refused
from ledger.verification import verify
from projections.replay import replay
from projections.views import Views
from tests.desk.bureau import Bureau
from tests.projections.conftest import views, views_engine  # noqa: F401  (fixtures)
from tests.rules.test_orders import WORKER, anything, parish
from tests.rules.town import STAMP

STEPS = 120


@pytest.mark.parametrize("seed", range(3))
def test_the_desk_decides_as_the_rules_do(store: Store, views: Views, seed: int) -> None:  # noqa: F811
    rng, given, orders = Random(seed), parish(), list[str]()  # noqa: S311  (a story, no secret)
    bureau = Bureau(store)
    bureau.settle()
    views.prepare()

    def both(command: Command) -> None:
        said = given.when(command).refused
        bureau.clock.at = given.at
        if rng.random() < 0.2:
            bureau.committer._forget_all()
        no: Refused | None = None
        try:
            bureau.ask(command)
        except Refused as raised:
            no = raised
        assert (no and no.code, no and no.pointer) == (said and said.code, said and said.pointer)

    for command in given.asked[-2:]:  # what the parish has beside the town
        bureau.ask(command)
    both(JoinMember(**STAMP, member_id=WORKER, organisation="org-b", consent_ref="c-1"))
    for _ in range(STEPS):
        given.at += timedelta(minutes=rng.randint(0, 5))
        both(anything(rng, given, orders))
    written = [encode(entry.event) for entry in bureau.entries()]
    bureau.close()
    assert written == [encode(fact) for fact in given.facts]
    assert verify(store).wrong is None
    views.catch_up()
    assert replay(store, views).difference is None
