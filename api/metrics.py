"""What the server counts, for Prometheus: no label names a person, an organisation or an id.

Counting is plain addition by the one thread that does the thing counted; the numbers are put into
Prometheus' shape when somebody asks for them.
"""

import platform
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import time

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    ProcessCollector,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
JOBS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_000.0)


class Spread:
    """How often a number fell into each of some buckets, and the sum of all."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Take in one more number."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """How many were at most each bound."""
        total, found = 0, []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


Committed = Callable[[int, float, float], None]
"""Told of a batch: its jobs, the seconds to its commit, the seconds that its first job waited."""

Read = Callable[[], float]
ReadMany = Callable[[], Mapping[str, float]]


class Metrics(Collector):
    """The counters of one process."""

    def __init__(self) -> None:
        self._answered: dict[tuple[str, str], Counter[int]] = {}
        self.refusals: Counter[str] = Counter()
        self.write_seconds = Spread(SECONDS)
        self.read_seconds = Spread(SECONDS)
        self.batch_jobs = Spread(JOBS)
        self.commit_seconds = Spread(SECONDS)
        self.wait_seconds = Spread(SECONDS)
        self.loop_late_seconds = Spread(SECONDS)
        self.under_way = 0  # requests that have no answer yet
        self.jobs_done: dict[str, float] = {}  # when each ran to its end, in Unix seconds
        self.jobs_failed: Counter[str] = Counter()
        self._gauges: dict[str, tuple[str, Read]] = {}
        self._looks: list[tuple[Mapping[str, str], ReadMany]] = []
        self._labelled: dict[str, tuple[str, str, ReadMany]] = {}
        self._counters: dict[str, tuple[str, Read]] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def answered(self, method: str, route: str) -> Counter[int]:
        """Answers of a route, by status: to be counted in by the edge."""
        return self._answered.setdefault((method, route), Counter())

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """A number that is read when somebody asks."""
        self._gauges[name] = (meaning, read)

    def gauges(self, meanings: Mapping[str, str], read: ReadMany) -> None:
        """Several that one look tells."""
        self._looks.append((meanings, read))

    def labelled(self, name: str, label: str, meaning: str, read: ReadMany) -> None:
        """The same for a few numbers, told apart by a label."""
        self._labelled[name] = (meaning, label, read)

    def counter(self, name: str, meaning: str, read: Read) -> None:
        """A number that only grows, and is read when somebody asks."""
        self._counters[name] = (meaning, read)

    def committed(self, jobs: int, seconds: float, waited: float) -> None:
        """The desk has finished a batch; its first job had waited so long for it."""
        self.batch_jobs.add(jobs)
        self.commit_seconds.add(seconds)
        self.wait_seconds.add(waited)

    def job_done(self, job: str) -> None:
        """A job ran to its end."""
        self.jobs_done[job] = time()

    def serve(self, port: int) -> None:
        """Answer with the counters at a port of the loopback, in a thread that ends with us."""
        start_http_server(port, "127.0.0.1", self._registry)

    def text(self) -> bytes:
        """All of it in the text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Everything as Prometheus' client library wants it."""
        requests = CounterMetricFamily(
            "timebank_requests", "Requests answered.", labels=("method", "route", "status")
        )
        for (method, route), by_status in list(self._answered.items()):
            for status, count in list(by_status.items()):
                requests.add_metric((method, route, str(status)), count)
        yield requests
        refusals = CounterMetricFamily(
            "timebank_refusals", "Problems answered, by code.", labels=("code",)
        )
        for code, count in list(self.refusals.items()):
            refusals.add_metric((code,), count)
        yield refusals
        took = HistogramMetricFamily(
            "timebank_request_seconds",
            "Seconds from a request's head to its answer.",
            labels=("kind",),
        )
        for kind, spread in (("write", self.write_seconds), ("read", self.read_seconds)):
            took.add_metric((kind,), spread.buckets(), spread.sum)
        yield took
        for name, meaning, spread in (
            ("batch_jobs", "Jobs that one batch of the desk decided.", self.batch_jobs),
            ("commit_seconds", "Seconds of a batch, to its commit.", self.commit_seconds),
            ("loop_late_seconds", "By how much the event loop is late.", self.loop_late_seconds),
            ("wait_seconds", "Seconds that a batch's first job waited.", self.wait_seconds),
        ):
            yield HistogramMetricFamily(
                f"timebank_{name}", meaning, buckets=spread.buckets(), sum_value=spread.sum
            )
        yield GaugeMetricFamily(
            "timebank_requests_under_way", "Requests that have no answer yet.", value=self.under_way
        )
        yield _gauge(
            "job_last_done_seconds", "When a job last ran to its end, in Unix seconds.", "job",
            self.jobs_done,
        )  # fmt: skip
        failed = CounterMetricFamily(
            "timebank_job_failures", "Rounds of the jobs that broke off.", labels=("reason",)
        )
        for reason, many in list(self.jobs_failed.items()):
            failed.add_metric((reason,), many)
        yield failed
        yield _gauge(
            "build_info", "The Python that runs; always 1.", "python",
            {platform.python_version(): 1.0},
        )  # fmt: skip
        for name, (meaning, read) in self._gauges.items():
            yield GaugeMetricFamily(f"timebank_{name}", meaning, value=read())
        for meanings, look in self._looks:
            for name, number in look().items():
                yield GaugeMetricFamily(f"timebank_{name}", meanings[name], value=number)
        for name, (meaning, read) in self._counters.items():
            yield CounterMetricFamily(f"timebank_{name}", meaning, value=read())
        for name, (meaning, label, read_many) in self._labelled.items():
            yield _gauge(name, meaning, label, read_many())


def _gauge(name: str, meaning: str, label: str, found: Mapping[str, float]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"timebank_{name}", meaning, labels=(label,))
    for value, number in list(found.items()):
        gauge.add_metric((value,), number)
    return gauge
