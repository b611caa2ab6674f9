"""Log lines on standard error: structlog for what happens, and one compact line for each request.

A request's line names the route's template, never the path, query or body: no personal data can
stand in it. Lines wait in memory for a moment and are written together.
"""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from time import time
from typing import BinaryIO

import orjson
import structlog

from ledger.settings import Settings

FLUSH_SECONDS = 0.1


def configure(settings: Settings) -> None:
    """Let every logger write as the settings say: text for people, or JSON, one object a line."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=_dumps)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),  # a line in one piece
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # It tells of requests that are no HTTP, and quotes them; of bugs the guard tells itself.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


class RequestLog:
    """One line for each request, at a microsecond's cost."""

    def __init__(self, settings: Settings, stream: BinaryIO | None = None) -> None:
        self._on = settings.log_level in ("debug", "info")
        self._json = settings.log_format == "json"
        self._stream = stream or sys.stderr.buffer
        self._lines: list[str] = []
        self._second = -1
        self._clock = ""  # the second, spelled

    def add(
        self,
        request_id: str,
        method: str,
        route: str,
        status: int,
        seconds: float,
        key: str,
        refused: str = "",
    ) -> None:
        """Note a request, in words of ours or checked ones: nothing needs escaping."""
        if not self._on:
            return
        now = time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._clock = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        at = f"{self._clock}.{int((now - second) * 1000):03}Z"
        if self._json:
            line = (
                f'{{"event":"request","level":"info","timestamp":"{at}",'
                f'"request_id":"{request_id}","method":"{method}","route":"{route}",'
                f'"status":{status},"ms":{seconds * 1000:.2f},"key":"{key}","code":"{refused}"}}\n'
            )
        else:
            line = (
                f"{at} {status} {method} {route} {seconds * 1000:.1f} ms {key} {request_id}"
                f"{refused and f' {refused}'}\n"
            )
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write what waits."""
        lines, self._lines = self._lines, []
        if lines:
            self._stream.write("".join(lines).encode())
            self._stream.flush()


def _dumps(said: object, default: object = None, **_: object) -> str:
    return orjson.dumps(said, default=str).decode()
