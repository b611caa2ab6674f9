"""Pages for readers: the contract as one page that loads nothing, and a page for each problem."""

import base64
import hashlib
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import Any

import orjson
from aiohttp import web

from api.call import Call
from api.contract import JSON, Route
from api.openapi import DOCUMENT
from api.problems import RULE_STATUS, STATUS
from api.replies import Reply
from ledger.refusals import REFUSALS, Language
from ledger.units import Refused

HTML = "text/html; charset=utf-8"
PAGE = web.AppKey("docs page", str)
"""Where the application keeps the docs page."""

Json = dict[str, Any]


async def openapi(call: Call) -> web.Response:
    """The OpenAPI document, from memory."""
    headers = call.headers(JSON) | {"Cache-Control": "public, max-age=60"}
    return Reply(200, headers, call.request.app[DOCUMENT])


async def docs(call: Call) -> web.Response:
    """The contract for people."""
    return html_page(call, call.request.app[PAGE])


async def problem_page(call: Call) -> web.Response:
    """What one problem means."""
    code = call.path["problem"]
    refusal = REFUSALS.get(code)
    if refusal is None:
        raise Refused("not_found")
    said = (
        f"<h1>{escape(refusal.title_zh)} <small>{escape(refusal.title_en)}</small></h1>"
        f"<p><code>{code}</code> · {STATUS.get(code, RULE_STATUS)}</p>"
        f'<p lang="zh">{escape(refusal.detail_zh)}</p>'
        f'<p lang="en">{escape(refusal.detail_en)}</p>'
        '<p><a href="/docs#problems">/docs</a></p>'
    )
    return html_page(call, page(refusal.title_en, said))


def docs_page(document: Json) -> str:
    """The whole document as one page."""
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    sections: list[str] = []
    for tag in document["tags"]:
        rows = [_operation(*each) for each in operations if tag["name"] in each[2]["tags"]]
        name = escape(tag["name"])
        sections.append(f'<section id="{_anchor(name)}"><h2>{name}</h2>{"".join(rows)}</section>')
    links = " · ".join(
        f'<a href="#{_anchor(tag["name"])}">{escape(tag["name"])}</a>' for tag in document["tags"]
    )
    info = document["info"]
    about = "".join(f"<p>{escape(part)}</p>" for part in info["description"].split("\n\n"))
    body = (
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>{about}"
        f'<p><a href="/v1/openapi.json">openapi.json</a></p><nav>{links}</nav>'
        f"{''.join(sections)}{_schemas(document)}{_problems()}"
    )
    return page(info["title"], body)


def page(title: str, body: str, language: Language = "zh") -> str:
    """A page that loads nothing: its one style sheet is in it."""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_style()}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )


def html_page(call: Call, text: str, status: int = 200, *, form: bool = False) -> web.Response:
    """The answer that is a page; only one with a form may send anything, and that to us."""
    headers = call.headers(HTML)
    headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'sha256-{_style_hash()}'; base-uri 'none'; "
        f"form-action '{'self' if form else 'none'}'; frame-ancestors 'none'"
    )
    headers["X-Frame-Options"] = "DENY"  # for browsers older than `frame-ancestors`
    headers["Referrer-Policy"] = "no-referrer"  # the address may hold a code
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return Reply(status, headers, text.encode())


@lru_cache(maxsize=1)
def _style() -> str:
    return files("api").joinpath("static/docs.css").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _style_hash() -> str:
    return base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()


def _anchor(name: str) -> str:
    return "-".join(name.lower().split())


def _operation(path: str, method: str, operation: Json) -> str:
    roles = " ".join(operation["x-roles"]) or "no key"
    asked = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{each['in']}</td>"
        f"<td>{_schema(each['schema'])}{' · required' if each.get('required') else ''}</td>"
        f"<td>{escape(each.get('description', ''))}</td></tr>"
        for each in operation["parameters"]
    )
    body = "".join(
        f"<p>{escape(media)}: {_schema(said['schema'])}</p>{_example(said)}"
        for media, said in operation.get("requestBody", {}).get("content", {}).items()
    )
    answers = " ".join(f"<code>{status}</code>" for status in sorted(operation["responses"]))
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><b>{method.upper()}</b> '
        f"<code>{escape(path)}</code> {escape(operation['x-summary-zh'])} "
        f"<small>{escape(operation['summary'])}</small></summary>"
        f"<p>{escape(roles)}</p><table>{asked}</table>{body}<p>{answers}</p></details>"
    )


def _example(said: Json) -> str:
    if "example" not in said:
        return ""
    spelled = orjson.dumps(said["example"], option=orjson.OPT_INDENT_2).decode()
    return f"<pre>{escape(spelled)}</pre>"


def _schema(schema: Json) -> str:
    """A schema in a few signs, with a link where it has a name."""
    match schema:
        case {"$ref": str(reference)}:
            name = escape(reference.rpartition("/")[2])
            return f'<a href="#schema-{name}">{name}</a>'
        case {"anyOf": list(options)} | {"oneOf": list(options)}:
            return " | ".join(_schema(option) for option in options)
        case {"enum": list(values)}:
            return " | ".join(f"<code>{escape(str(value))}</code>" for value in values)
        case {"const": value}:
            return f"<code>{escape(str(value))}</code>"
        case {"type": "array"}:
            return f"[{_schema(schema.get('items', {}))}]"
        case {"type": str(kind)}:
            return escape(str(schema.get("format", kind)))
        case _:
            return "any"


def _schemas(document: Json) -> str:
    parts: list[str] = []
    for name, schema in document["components"]["schemas"].items():
        required = schema.get("required", ())
        rows = "".join(
            f"<tr><td><code>{escape(field)}</code></td><td>{_schema(said)}"
            f"{' · required' if field in required else ''}</td>"
            f"<td>{escape(said.get('description', ''))}</td></tr>"
            for field, said in schema.get("properties", {}).items()
        )
        parts.append(
            f'<details id="schema-{escape(name)}"><summary>{escape(name)}</summary>'
            f"<p>{escape(schema.get('description', ''))}</p><table>{rows}</table></details>"
        )
    return f'<section id="schemas"><h2>Schemas</h2>{"".join(parts)}</section>'


def _problems() -> str:
    rows = "".join(
        f'<tr><td>{STATUS.get(code, RULE_STATUS)}</td><td><a href="/problems/{code}">'
        f"<code>{code}</code></a></td><td>{escape(refusal.title_zh)}</td>"
        f"<td>{escape(refusal.title_en)}</td></tr>"
        for code, refusal in sorted(REFUSALS.items())
    )
    return f'<section id="problems"><h2>Problems</h2><table>{rows}</table></section>'


ROUTES = [
    Route(
        method="GET",
        path="/v1/openapi.json",
        handler=openapi,
        operation="openapi",
        tag="Documentation",
        summary_zh="OpenAPI 3.1 文档",
        summary_en="This document",
        answers={200: None},
        also=(JSON,),
    ),
    Route(
        method="GET",
        path="/docs",
        handler=docs,
        operation="docs",
        tag="Documentation",
        summary_zh="接口说明页",
        summary_en="The contract as a page",
        answers={200: None},
        also=("text/html",),
    ),
    Route(
        method="GET",
        path="/problems/{problem}",
        handler=problem_page,
        operation="problem",
        tag="Documentation",
        summary_zh="错误说明",
        summary_en="What a problem means",
        answers={200: None},
        also=("text/html",),
    ),
]
