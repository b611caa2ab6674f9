"""What `timebank bench` compares with: a bare handler that parses the same body and keeps nothing.

aiohttp on uvloop, the body parsed by orjson, an answer of the same size; no key, no store.
"""

import sys

import orjson
import uvloop
from aiohttp import web

from ledger.units import new_id

ANSWER = {
    "id": new_id(),
    "position": 1,
    "organisation": "bench",
    "receipt": "b-1",
    "member_id": new_id(),
    "activity": "陪伴就医",
    "category": "elderly",
    "place": "bench",
    "responsible": "staff-7",
    "started_at": "2026-03-06T06:00:00Z",
    "ended_at": "2026-03-06T06:01:00Z",
    "break_minutes": 0,
    "capacity": "volunteer",
    "evidence": "attested",
    "professional": False,
    "status": "verified",
    "served_on": "2026-03-06",
    "minutes": 1,
    "overlap_minutes": 0,
    "credits": 1,
    "capped": 0,
    "overflowed": 0,
    "paid_from_hold": 0,
    "points": 0,
    "late": False,
    "policy_version": 1,
}


async def post(request: web.Request) -> web.Response:
    """Parse, answer."""
    said = orjson.loads(await request.read())
    answer = {**ANSWER, "receipt": said["receipt"]}
    return web.Response(status=201, body=orjson.dumps(answer), content_type="application/json")


async def make_app() -> web.Application:
    """One route."""
    app = web.Application()
    app.router.add_post("/v1/service-records", post)
    return app


if __name__ == "__main__":
    web.run_app(
        make_app(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )
