"""What the server counts, for Prometheus: no label names a person, an organisation or an id."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "timebank_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "timebank_request_seconds",
            "Seconds from the request's head to its answer.",
            ("write",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.refusals = Counter(
            "timebank_refusals", "Problems answered.", ("code",), registry=self.registry
        )
        self.batch_jobs = Histogram(
            "timebank_batch_jobs",
            "Jobs that one transaction of the desk decided.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
            registry=self.registry,
        )
        self.commit_seconds = Histogram(
            "timebank_commit_seconds",
            "Seconds from a transaction's begin to its durable commit.",
            buckets=_SECONDS,
            registry=self.registry,
        )

    def watch(self, gauges: dict[str, tuple[str, Callable[[], float]]]) -> None:
        """Gauges that are read when somebody asks: name -> what it is, and how to read it."""
        self.registry.register(_Gauges(gauges))

    def text(self) -> bytes:
        """All of it in the text format."""
        return generate_latest(self.registry)


class _Gauges(Collector):
    def __init__(self, gauges: dict[str, tuple[str, Callable[[], float]]]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, (meaning, read) in self._gauges.items():
            yield GaugeMetricFamily(f"timebank_{name}", meaning, value=read())
