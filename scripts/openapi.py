"""`timebank openapi`: the document of the HTTP interface, as the server answers it."""

from scripts.printing import Told, verb


@verb()
def openapi() -> Told:
    """Print the OpenAPI 3.1 document; with `--json` on one line."""
    import orjson

    from api.app import document

    described = document()
    return Told(described, [orjson.dumps(described, option=orjson.OPT_INDENT_2).decode()])
