"""A long run: every process a house has, under a steady load, watched, and counted at the end.

    python3 scripts/bootstrap.py soak [--minutes 20] [--backend sqlite|postgresql] [--report FILE]
    python3 scripts/bootstrap.py soak --short
    python3 scripts/bootstrap.py soak --rubbish [--minutes 10]     malformed traffic beside the load

Ends with 0 where everything held, and with 5 where not.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import click

from ledger.keys import create_key
from ledger.opening import open_ledger
from projections.views import Views
from scripts import soak_load, soak_rubbish, soak_verdict
from scripts.bench_houses import (
    BASE,
    House,
    free_port,
    make_house,
    postgresql,
    resident_mib,
    wait_for,
)
from scripts.printing import Exit
from scripts.soak_verdict import Sample, rubbish_taken

SHARE = 0.6
WINDOWS = 20
LOOK_SECONDS = 1.0
END_SECONDS = 15.0  # that a process may take to end
CATCH_UP_SECONDS = 120
MINUTES = 20.0
RUBBISH_MINUTES = 10.0
SHORT = {"learn": 5.0, "load": 30.0}
LEARN_SECONDS = 30.0
LAYOUTS: dict[str, list[list[str]]] = {
    "sqlite": [["serve", "--work", "none"], ["work", "views", "jobs", "webhooks"]],
    "postgresql": [
        ["serve", "--work", "none"],
        ["serve", "--work", "none"],
        ["work", "views"],
        ["work", "jobs", "webhooks"],
    ],
}
"""The processes of a house: on SQLite one serves, on PostgreSQL as many as one likes."""
ROLES = ("poster", "verifier", "auditor")


@dataclass
class Watched:
    """A process of the house, and what it looked like from time to time."""

    name: str
    process: "subprocess.Popen[bytes]"
    url: str | None = None
    samples: list[Sample] = field(default_factory=list)
    ended: int | None = None
    ending_seconds: float = 0.0


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0.1), help="Default: 20; of rubbish 10.")
@click.option("--short", is_flag=True, help="Two minutes; memory and p99 are told, not judged.")
@click.option("--rubbish", is_flag=True, help="Pour malformed traffic beside the load.")
@click.option("--backend", type=click.Choice(sorted(LAYOUTS)), multiple=True, help="Default: both.")
@click.option("--share", type=click.FloatRange(0.01, 1.0), default=SHARE, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--report", type=click.Path(path_type=Path), help="Write everything there, as JSON.")
def soak(
    minutes: float | None,
    short: bool,
    rubbish: bool,
    backend: tuple[str, ...],
    share: float,
    seed: int,
    report: Path | None,
) -> None:
    """Run the house under load, and say what became of it."""
    minutes = minutes or (RUBBISH_MINUTES if rubbish else MINUTES)
    learn, load = (SHORT["learn"], SHORT["load"]) if short else (LEARN_SECONDS, minutes * 60)
    reports: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="timebank-soak-"))
    with postgresql() as server:
        for name in backend or sorted(LAYOUTS):
            url = f"sqlite:///{folder / name / 'timebank.db'}" if name == "sqlite" else server
            if url is None:
                raise click.ClickException("there is no PostgreSQL to be had here")
            house = make_house("soak", folder / name, url)
            reports[name] = one(name, house, learn, load, share, seed, rubbish, judged=not short)
            say("")
    if report is not None:
        report.write_text(json.dumps(reports, indent=1), encoding="utf-8")
    failures = [f"{name}: {each}" for name, said in reports.items() for each in said["against"]]
    if failures:
        say("\n".join(failures))
        say(f"what was written is in {folder}")
        sys.exit(Exit.WRONG)
    shutil.rmtree(folder)


def one(
    name: str,
    house: House,
    learn: float,
    load: float,
    share: float,
    seed: int,
    rubbish: bool = False,
    *,
    judged: bool,
) -> dict[str, Any]:
    """A soak of one house; what it came to, with all that speaks against it.

    Rubbish is poured from before the load learns what the house can do until it has ended.
    """
    keys = make_keys(house, *ROLES)
    (bad,) = make_keys(house, "verifier").values()
    poured: Counter[str] = Counter()
    acknowledged = house.folder / "acknowledged.tsv"
    with ExitStack() as at_work:
        watched = [at_work.enter_context(running(house, words)) for words in LAYOUTS[name]]
        urls = [each.url for each in watched if each.url]
        for each in watched:
            if each.url:
                wait_for(f"{each.url}/readyz", each.process)
        plan = soak_load.Plan(
            urls, keys, house.members, BASE, learn, load, share, WINDOWS, seed, str(acknowledged)
        )
        with ExitStack() as beside:
            if rubbish:
                poured = beside.enter_context(soak_rubbish.pouring(urls, bad, seed))
            said = watch(soak_load.command(plan, house.folder / "plan.json"), watched)
        lag = caught_up(urls)
        for each in watched:
            stop(each)
    with open_ledger(house.settings) as ledger:
        counted = soak_verdict.recount(ledger, acknowledged)
        held = soak_verdict.invariants(ledger, Views(ledger.store, ledger.views_engine))
    against = [f"{each.name}: {each.against}" for each in held if each.against]
    against += [f"{many} x {what}" for what, many in said["unexpected"].items()]
    against += [f"{many} x status {status}" for status, many in refusals(said).items()]
    against += [f"rubbish: {many} x {what}" for what, many in rubbish_taken(poured).items()]
    against += [f"{log.name} repeats what strangers say" for log in repeating(house, bad)]
    if counted.lost or counted.doubled or not counted.acknowledged:
        against.append(str(counted))
    if lag:
        against.append(f"views {lag} behind")
    second, last = soak_verdict.slower(said["windows"])
    if judged and not soak_verdict.is_flat(second, last):
        against.append(f"p99 {second} ms, at last {last} ms")
    limit = soak_verdict.GROWTH_MAX if judged else soak_verdict.GROSS_GROWTH_MAX
    rows = []
    for each in watched:
        grown = soak_verdict.growth(each.samples, load)
        rows.append(told(each, grown))
        if grown > limit:
            against.append(f"{each.name} grew by {grown:.1%} in the second half")
        if each.ended != 0 or each.ending_seconds > END_SECONDS:
            against.append(f"{each.name} ended with {each.ended} in {each.ending_seconds:.1f} s")
    found = {
        "backend": name,
        "seconds": load,
        "learned_acts_per_second": said["learned"],
        "share": share,
        "acts": said["acts"],
        "statuses": said["statuses"],
        "windows": said["windows"],
        "rubbish": dict(sorted(poured.items())),
        "p99_ms": {"second_quarter": second, "last_quarter": last},
        "counted": counted._asdict(),
        "invariants": {each.name: not each.against for each in held},
        "processes": rows,
        "against": against,
    }
    tell(found)
    return found


# --- processes -----------------------------------------------------------------------------------


@contextmanager
def running(house: House, words: list[str]) -> Iterator[Watched]:
    """A process of the house, once it is ready."""
    port = free_port()
    environment = os.environ | {
        "TIMEBANK_DATABASE_URL": house.settings.database_url,
        "TIMEBANK_LEDGER": house.settings.ledger,
        "TIMEBANK_KEYS_FILE": str(house.settings.keys_file),
        "TIMEBANK_PORT": str(port),
        "TIMEBANK_JOBS_EVERY_MINUTES": "1",
        "TIMEBANK_LOG_FORMAT": "json",
        "TIMEBANK_LOG_LEVEL": "warning",
    }
    name = " ".join(words)
    with (house.folder / f"{name} {port}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  (our own program)
            [sys.executable, "-m", "scripts.cli", *words], env=environment, stdout=log, stderr=log
        )
    watched = Watched(name, process)
    try:
        if words[0] == "serve":
            watched.url = f"http://127.0.0.1:{port}"
            wait_for(f"{watched.url}/healthz", process)
        yield watched
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def stop(watched: Watched) -> None:
    """Tell a process to end, and see how long it takes."""
    begun = monotonic()
    watched.process.send_signal(signal.SIGTERM)
    try:
        watched.ended = watched.process.wait(2 * END_SECONDS)
    except subprocess.TimeoutExpired:
        watched.ended = None
    watched.ending_seconds = monotonic() - begun


def watch(command: list[str], watched: list[Watched]) -> dict[str, Any]:
    """Run the load, and look at the processes every second; what the load tells at its end."""
    ending = threading.Event()
    begun: list[float] = []

    def look() -> None:
        while not ending.wait(LOOK_SECONDS):
            if begun:
                for each in watched:
                    each.samples.append(sample(each.process.pid, monotonic() - begun[0]))

    looking = threading.Thread(target=look, name="watch")
    looking.start()
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as load:  # noqa: S603  (our own)
            assert load.stdout is not None  # noqa: S101  (a pipe, one line above)
            learned = told_by(load.stdout.readline())
            begun.append(monotonic())
            said = told_by(load.stdout.readline())
    finally:
        ending.set()
        looking.join()
    return {**learned, **said}


def told_by(line: bytes) -> dict[str, Any]:
    """A line of the load's."""
    if not line:
        raise click.ClickException("the load broke off; its reason stands above")
    said: dict[str, Any] = json.loads(line)
    return said


def sample(pid: int, seconds: float) -> Sample:
    """A process as /proc has it."""
    here = Path(f"/proc/{pid}")
    return Sample(
        seconds,
        resident_mib(pid),
        len(list((here / "fd").iterdir())),
        len(list((here / "task").iterdir())),
    )


def caught_up(urls: list[str]) -> int:
    """Wait for the views to have read everything; how far they are behind when time is up."""
    until = monotonic() + CATCH_UP_SECONDS
    behind = 1
    while behind and monotonic() < until:
        behind = 0
        for url in urls:
            with urllib.request.urlopen(f"{url}/readyz", timeout=30) as answer:  # noqa: S310
                ready = json.load(answer)
            behind = max(behind, ready["position"] - ready["views_position"])
    return behind


def repeating(house: House, key: str) -> list[Path]:
    """The logs in which something stands that only who speaks rubbish has said."""
    secrets = (soak_rubbish.SENTINEL.encode(), key.encode())
    logs = [(log, log.read_bytes()) for log in sorted(house.folder.glob("*.log"))]
    return [log for log, content in logs if any(secret in content for secret in secrets)]


def make_keys(house: House, *roles: str) -> dict[str, str]:
    """A key of each role."""
    made = {}
    with open_ledger(house.settings) as ledger, ledger.store.writing() as connection:
        for role in roles:
            organisation = None if role == "auditor" else "bench"
            made[role] = create_key(
                connection, role=role, actor=role, organisation=organisation, at=datetime.now(UTC)
            ).text
    return made


# --- telling -------------------------------------------------------------------------------------


def refusals(said: dict[str, Any]) -> dict[str, int]:
    """Answers of the load that say that the house failed."""
    return dict(soak_verdict.refused(said["statuses"]))


def told(watched: Watched, grown: float) -> dict[str, Any]:
    """A process in figures."""
    first, last = watched.samples[0], watched.samples[-1]
    return {
        "process": watched.name,
        "resident_mib": [round(first.resident_mib, 1), round(last.resident_mib, 1)],
        "grew_in_second_half": round(grown, 4),
        "descriptors": [first.descriptors, last.descriptors],
        "threads": [first.threads, last.threads],
        "ended": watched.ended,
        "ending_seconds": round(watched.ending_seconds, 2),
    }


def tell(found: dict[str, Any]) -> None:
    """What people want to know of it."""
    say(
        f"{found['backend']}: {found['seconds']:.0f} s at {found['share']:.0%} of"
        f" {found['learned_acts_per_second']} acts a second; {sum(found['acts'].values())} acts,"
        f" answers {found['statuses']}"
    )
    for number, window in enumerate(found["windows"], 1):
        say(
            f"  {number:2}  {window['rate']:8.1f} answers/s   p50 {window['p50_ms']:8.2f} ms"
            f"   p99 {window['p99_ms']:8.2f} ms   most {window['max_ms']:8.2f} ms"
        )
    if poured := Counter(found["rubbish"]):
        counts = [f"{many} x {what}" for what, many in poured.items()]
        say(f"  rubbish: {soak_rubbish.said(poured)}: {', '.join(counts)}")
    for row in found["processes"]:
        first, last = row["resident_mib"]
        say(
            f"  {row['process']}: {first} to {last} MiB, second half"
            f" {row['grew_in_second_half']:+.1%}; descriptors {row['descriptors']}, threads"
            f" {row['threads']}; ended with {row['ended']} in {row['ending_seconds']} s"
        )
    say(f"  {found['counted']}; {found['invariants']}")
    say("  all held" if not found["against"] else f"  AGAINST: {found['against']}")


def say(line: str) -> None:
    """A line on standard output."""
    click.echo(line)


if __name__ == "__main__":
    soak()
