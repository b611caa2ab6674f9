"""The OpenAPI 3.1 document, assembled from the routes and their models."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, get_args

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.contract import (
    EVENT_STREAM,
    IDEMPOTENCY_KEY_PATTERN,
    JSON,
    LAST_EVENT_ID_PATTERN,
    PATH_PARTS,
    PROBLEM_JSON,
    Page,
    Route,
)
from api.problems import RETRIED, RULE_STATUS, STATUS, FieldError, Invalid, problem
from ledger.refusals import REFUSALS

DOCUMENT = web.AppKey("openapi", bytes)
"""Where the application keeps the document's bytes."""

Json = dict[str, Any]
_REF = "#/components/schemas/{model}"


def document(routes: Sequence[Route], version: str) -> Json:
    """The whole document."""
    schemas = _Schemas(routes)
    links = _links(routes)
    responses: dict[str, Json] = {}
    paths: dict[str, Json] = {}
    for route in routes:
        operation = _operation(route, schemas, responses, links.get(route.path, {}))
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Timebank ledger · 时间银行账本",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "tbk_<live|test>_<8 id>_<40 secret><6 checksum>",
                },
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token after RFC 9068 of the issuer that the server's"
                    " settings name, whose subject was registered; 401 where they name none.",
                },
            },
            "schemas": {**schemas.definitions, "Problem": _PROBLEM},
            "headers": _HEADERS,
            "responses": responses,
        },
    }


def problem_codes(route: Route) -> dict[int, list[str]]:
    """Every problem that a route may answer, by status."""
    codes = ["internal", *route.problems]
    if route.roles:
        codes += ["unauthenticated", "forbidden", "too_many_requests", "issuer_unreachable"]
        codes.append("busy" if route.write else "view_behind")
    if route.path_names:
        codes.append("not_found")
    codes += ["invalid", "bad_encoding"]  # of the query
    if route.takes_body:
        codes += ["too_slow", "too_large", "unsupported_media_type"]
        if JSON in route.media:
            codes.append("malformed_json")
    if route.write and route.method == "POST":
        codes += ["idempotency_key_reused", "idempotency_key_in_flight"]
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(STATUS.get(code, RULE_STATUS), []).append(code)
    if route.write and route.takes_body:
        by_status[422].append("not_found")  # an id in the body
    return dict(sorted(by_status.items()))


class _Schemas:
    """The models' schemas under their names in the document."""

    def __init__(self, routes: Iterable[Route]) -> None:
        wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
        for route in routes:
            if route.body is not None:
                wanted[route.body, "validation"] = None
            for answer in route.answers.values():
                if answer is not None:
                    wanted[answer, "validation"] = None
        self._names, top = models_json_schema(list(wanted), ref_template=_REF)
        self.definitions: Json = dict(sorted(top.get("$defs", {}).items()))

    def of(self, model: type[BaseModel]) -> Json:
        """The reference to a model's schema."""
        return self._names[model, "validation"]


def _operation(
    route: Route, schemas: _Schemas, responses: dict[str, Json], below: Mapping[str, str]
) -> Json:
    operation: Json = {
        "operationId": route.operation,
        "tags": [route.tag],
        "summary": route.summary_en,
        "description": _description(route),
        "x-summary-zh": route.summary_zh,
        "x-roles": sorted(route.roles),
        "security": [{"key": []}, {"token": []}] if route.roles else [],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_asked_headers(route)],
        "responses": dict(
            sorted(
                {
                    **{
                        str(status): _problem_response(
                            status, codes, responses, page=status in route.pages
                        )
                        for status, codes in problem_codes(route).items()
                    },
                    **{
                        str(status): _answer(route, status, answer, schemas, below)
                        for status, answer in route.answers.items()
                    },
                }.items()
            )
        ),
    }
    if route.takes_body:
        operation["requestBody"] = _body(route, schemas)
    return operation


def _links(routes: Sequence[Route]) -> dict[str, dict[str, str]]:
    """What can be asked of a collection's items: operation -> the item's name in the path."""
    found: dict[str, dict[str, str]] = {}
    for route in routes:
        collection, place, rest = route.path.partition("/{")
        name = rest.partition("}")[0]
        if place and "{" not in rest:
            found.setdefault(collection, {})[route.operation] = name
    return found


def _description(route: Route) -> str:
    lines = [route.summary_zh]
    if route.roles:
        lines.append(f"Roles: {', '.join(sorted(route.roles))}.")
    return "\n\n".join(lines)


def _path_parameters(route: Route) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PATH_PARTS[name].description,
            "schema": {"type": "string", "pattern": PATH_PARTS[name].pattern},
            "example": PATH_PARTS[name].example,
        }
        for name in route.path_names
    ]


def _query_parameters(route: Route) -> list[Json]:
    schema = route.query_model.model_json_schema(ref_template=_REF)
    shared = schema.get("$defs", {})
    required = schema.get("required", [])
    parameters: list[Json] = []
    for name, said in schema.get("properties", {}).items():
        plain = _without_null(said)
        if "$ref" in plain:
            plain = {**shared[plain.pop("$ref").rpartition("/")[2]], **plain}
        parameter = {"name": name, "in": "query", "required": name in required}
        if description := plain.pop("description", None):
            parameter["description"] = description
        plain.pop("title", None)
        parameter["schema"] = plain
        parameters.append(parameter)
    return parameters


def _without_null(schema: Json) -> Json:
    """A parameter is left out, never null."""
    plain = {k: v for k, v in schema.items() if not (k == "default" and v is None)}
    options = [option for option in plain.pop("anyOf", []) if option != {"type": "null"}]
    match options:
        case []:
            return plain
        case [one]:
            return {**one, **plain}
        case _:
            return {**plain, "anyOf": options}


def _asked_headers(route: Route) -> list[Json]:
    asked = [
        {
            "name": "X-Request-Id",
            "in": "header",
            "description": "Taken where it is usable, else made; returned and logged.",
            "schema": {"type": "string"},
        },
        {
            "name": "Accept-Language",
            "in": "header",
            "description": "Language of titles and sentences in problems: zh (default) or en.",
            "schema": {"type": "string"},
        },
    ]
    if route.write and route.method == "POST":
        asked.insert(
            0,
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same request under the same key is answered as the first was.",
                "schema": {"type": "string", "pattern": IDEMPOTENCY_KEY_PATTERN},
            },
        )
    if route.stream:
        asked.insert(
            0,
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "The `id` of the last event heard; what follows it is told.",
                "schema": {"type": "string", "pattern": LAST_EVENT_ID_PATTERN},
            },
        )
    return asked


def _body(route: Route, schemas: _Schemas) -> Json:
    content: Json = {}
    for media in route.media:
        if media == JSON and route.body is not None:
            content[media] = {"schema": schemas.of(route.body)}
            if route.example is not None:
                content[media]["example"] = route.example
        elif media.startswith("text/") or "json" in media:
            content[media] = {"schema": {"type": "string"}}
        else:
            content[media] = {"schema": {"type": "string", "format": "binary"}}
    optional = route.body is not None and not route.raw and not _required(route.body)
    return {"required": not optional, "content": content}


def _required(model: type[BaseModel]) -> bool:
    return any(field.is_required() for field in model.model_fields.values())


def _answer(
    route: Route,
    status: int,
    answer: type[BaseModel] | None,
    schemas: _Schemas,
    below: Mapping[str, str],
) -> Json:
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if route.roles:
        headers["Ledger-Position"] = {"$ref": "#/components/headers/Ledger-Position"}
    if route.write and route.method == "POST":
        headers["Idempotent-Replayed"] = {"$ref": "#/components/headers/Idempotent-Replayed"}
    said: Json = {"description": _MEANINGS.get(status, "Answered."), "headers": headers}
    content: Json = {}
    if answer is not None:
        media = JSON if status < 400 else PROBLEM_JSON
        content[media] = {"schema": schemas.of(answer)}
    if status == 200:
        for media in route.also:
            content[media] = {"schema": _ALSO.get(media, {"type": "string"})}
    if content:
        said["content"] = content
    if status < 300 and answer is not None:
        first = "/data/0" if issubclass(answer, Page) else ""
        links = {
            operation: {
                "operationId": operation,
                "parameters": {name: f"$response.body#{first}/{name}"},
            }
            for operation, name in below.items()
            if name in _item_fields(answer)
        }
        if links:
            said["links"] = links
    return said


def _item_fields(answer: type[BaseModel]) -> Set[str]:
    """What an answer says of an item, or a page of each of its items."""
    if not issubclass(answer, Page):
        return answer.model_fields.keys()
    (item,) = get_args(answer.model_fields["data"].annotation)
    return set(item.model_fields)


def _problem_response(
    status: int, codes: list[str], responses: dict[str, Json], *, page: bool
) -> Json:
    name = "_".join([str(status), *sorted(codes), *(["page"] if page else [])])
    if name not in responses:
        said = "; ".join(f"`{code}` {REFUSALS[code].title_en}" for code in sorted(codes))
        headers: Json = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
        if RETRIED.intersection(codes):
            headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
        if status == 401:
            headers["WWW-Authenticate"] = {"$ref": "#/components/headers/WWW-Authenticate"}
        responses[name] = {
            "description": said,
            "headers": headers,
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if page:
            responses[name]["content"]["text/html"] = {"schema": {"type": "string"}}
    return {"$ref": f"#/components/responses/{name}"}


_ABOUT = """\
Volunteer hours as durable facts. 志愿服务时长账本。

Writes answer when they are durable, with `position`; reads say in `Ledger-Position` how far their
view has read, and wait for `min_position`. Every POST takes an `Idempotency-Key`, every write
`dry_run=true`. Lists are oldest first and are walked by `next_cursor`. Refusals are problems after
RFC 9457, in Chinese or English.
"""

_ALSO: Mapping[str, Json] = {
    JSON: {"type": "object"},
    EVENT_STREAM: {
        "type": "object",
        "description": "Each event of the stream; `data` is JSON as of `get_event`, in one line.",
        "required": ["id", "data"],
        "properties": {
            "id": {"type": "string", "description": "The position."},
            "data": {"type": "string", "contentMediaType": JSON},
        },
    },
}
"""What an answer is that has another media type than its model; a text, where it is not here."""

_MEANINGS: Mapping[int, str] = {
    200: "As asked; nothing new where it was said before.",
    201: "Recorded.",
    204: "Done; there is nothing to say.",
    409: "Nothing was recorded.",
}

_HEADERS: Json = {
    "Ledger-Position": {
        "description": "The last position written, or how far the view has read.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "X-Request-Id": {"description": "Names this request.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "Present where this is the answer kept from the first time.",
        "schema": {"const": "true"},
    },
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {
        "description": "How to show a key or a token (RFC 6750).",
        "schema": {"type": "string"},
    },
}

_PROBLEM: Json = {
    "type": "object",
    "description": "A no (RFC 9457).",
    "examples": [
        problem(
            Invalid([FieldError("/ended_at", "ends_before_start")]),
            "zh",
            "019f0000-0000-7000-8000-00000000000f",
        )
    ],
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "pattern": "^[a-z_]+$"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON Pointer (RFC 6901)"},
                    "code": {"type": "string", "pattern": "^[a-z_]+$"},
                    "detail": {"type": "string"},
                    "in": {"enum": ["query", "header"]},
                },
            },
        },
    },
}
