"""Traces as a collector receives them over HTTP: requests, what they waited for, and batches."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from api.traces import Traces
from ledger.settings import BadSettings, Settings
from tests.api.house import made, opened

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Who receives spans (OTLP/HTTP, protobuf)."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        mine = self.bodies

        class Receive(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                mine.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Receive)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def spans(self) -> dict[str, Any]:
        found = {}
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    found |= {span.name: span for span in scope.spans}
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    receiving = Collector()
    yield receiving
    receiving.close()


async def test_a_request_is_traced_with_what_it_waited_for(
    collector: Collector, tmp_path: Path
) -> None:
    settings = Settings.load(
        database_url=f"sqlite:///{tmp_path / 'timebank.db'}",
        keys_file=tmp_path / "keys.json",
        traces_endpoint=collector.url,
    )
    made(settings)
    async with opened(settings) as house:
        posted = await house.admin.post(
            "/v1/units",
            {"code": "creek", "name": "溪谷", "level": "community"},
            headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
        )
        assert posted.status == 201
        found = await house.admin.get(f"/v1/units/creek?min_position={house.position}")
        assert found.status == 200
        assert (await house.stranger.get("/v1/units")).status == 401
        assert (await house.stranger.get(f"/v1/members/{house.member_id}")).status == 401
    spans = collector.spans()
    post = spans["POST /v1/units"]
    said = {each.key: each.value for each in post.attributes}
    assert (post.trace_id.hex(), post.parent_span_id.hex()) == (TRACE, PARENT)
    assert said["http.response.status_code"].int_value == 201
    assert said["timebank.request_id"].string_value == posted.headers["X-Request-Id"]
    assert spans["desk"].parent_span_id == post.span_id
    assert spans["look-up"].parent_span_id == spans["GET /v1/units/{code}"].span_id
    assert spans["GET /v1/units"].status.code == 0  # a 401 is no fault of the server's
    assert {each.key for each in spans["batch"].attributes} >= {"timebank.jobs"}
    for personal in (house.member_id, "溪谷", "tbk_"):
        assert personal.encode() not in b"".join(collector.bodies)


def test_without_the_library_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(BadSettings, match=r"timebank\[traces\]"):
        Traces("http://127.0.0.1:1")
