"""Lists as they are answered: a page of items, and where the next one begins."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol
from urllib.parse import parse_qsl, urlencode

from aiohttp import web
from sqlalchemy import Connection

from api.call import Call
from api.contract import Fields, cursor_text

Args = ParamSpec("Args")


class Page(Protocol):
    """Some items, oldest first, and the cursor behind the last where more follow."""

    @property
    def items(self) -> list[Fields]:
        """The page's items."""

    @property
    def next(self) -> int | None:
        """Where the next page begins."""


async def answer_page(
    call: Call,
    read: Callable[Concatenate[Connection, Args], Page],
    *args: Args.args,
    **kwargs: Args.kwargs,
) -> web.Response:
    """Answer the page that a read function of the views lists."""
    position = call.views.position  # at least this far: it is taken before the read begins
    found = await call.look_up(read, *args, **kwargs)
    return page_of(call, found.items, found.next, position)


def page_of(call: Call, items: list[Fields], following: int | None, position: int) -> web.Response:
    """A page whose items are at hand."""
    cursor = None if following is None else cursor_text(following)
    response = call.answer({"data": items, "next_cursor": cursor}, position=position)
    response.headers.update(link_to_next(call, following))
    return response


def link_to_next(call: Call, following: int | None) -> dict[str, str]:
    """The header that tells of a next page, where there is one (RFC 8288)."""
    if following is None:
        return {}
    return {"Link": f'<{_next_address(call, cursor_text(following))}>; rel="next"'}


def _next_address(call: Call, cursor: str) -> str:
    """The same list from a cursor on: path and query (RFC 8288, section 3.1)."""
    path, _, query = call.request.raw_path.partition("?")
    asked: list[tuple[str, Any]] = [
        (name, value)
        for name, value in parse_qsl(query, keep_blank_values=True)
        if name not in ("cursor", "min_position")
    ]
    return f"{path}?{urlencode([*asked, ('cursor', cursor)])}"
