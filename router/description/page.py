"""
/docs: the OpenAPI document as one page of plain HTML (core: a document in, markup out).

Nothing is loaded from elsewhere and nothing runs; what opens and closes are the browser's own <details>.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Any

from router.markup import Markup, element, joined

ORIGIN = "http://127.0.0.1:8083"  # what the examples call until `asked_at` says better
CURL = f"""curl -F file=@clip.mp3 -F response_format=srt {ORIGIN}/v1/audio/transcriptions"""
PYTHON = f"""from openai import OpenAI

client = OpenAI(base_url="{ORIGIN}/v1", api_key="any")
with open("clip.mp3", "rb") as clip:
    print(client.audio.transcriptions.create(model="whisper-1", file=clip).text)"""


def page(document: dict[str, Any]) -> str:
    """The page; `document` is that of router.description.document."""
    info = document["info"]
    links = (("Playground", "/"), ("Status", "/lb-status"), ("openapi.json", "/openapi.json"))
    nav = element("nav", *(element("a", text, href=href) for text, href in links), aria_label="Pages")
    title = element("h1", f"{info['title']} API")
    header = element("header", title, element("p", f"version {info['version']}, OpenAPI {document['openapi']}"), nav)
    main = element(
        "main",
        *(element("p", _text(text)) for text in info["description"].split("\n\n")),
        element("pre", element("code", CURL), aria_label="With curl", tabindex="0"),
        element("pre", element("code", PYTHON), aria_label="With Python", tabindex="0"),
        *(_tag(tag, document) for tag in document["tags"]),
        _errors(document),
        _schemas(document),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{info['title']} API"),
        element("link", rel="icon", href="/static/icon.svg"),
        element("link", rel="stylesheet", href="/static/style.css"),
    )
    return f"<!doctype html>\n{element('html', head, element('body', header, main, class_='docs'), lang='en')}\n"


def asked_at(made: str, origin: str) -> str:
    """The page as who reached it at `origin` needs it: the examples call that address. Anybody may have written it."""
    return made.replace(ORIGIN, escape(origin))


def _tag(tag: dict[str, Any], document: dict[str, Any]) -> Markup:
    told = [
        _operation(method, path, operation, document)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation["tags"] == [tag["name"]]
    ]
    return element("section", element("h2", tag["name"]), element("p", tag["description"]), *told)


def _operation(method: str, path: str, operation: dict[str, Any], document: dict[str, Any]) -> Markup:
    name = element("b", method.upper(), class_="method")
    summary = element("summary", name, " ", element("code", path), " ", operation["summary"])
    about = element("p", _text(operation["description"])) if "description" in operation else None
    parts = (about, _asks_for(operation), *_bodies(operation), _parameters(operation, document), _answers(operation))
    is_first = operation["operationId"] == "createTranscription"
    return element("details", summary, *parts, id=operation["operationId"], open=is_first)


def _asks_for(operation: dict[str, Any]) -> Markup:
    keys = operation["security"]
    said = {0: "Asks for no key.", 2: "Asks for the admin key."}.get(len(keys), "Asks for a key where keys are on.")
    return element("p", element("small", said))


def _bodies(operation: dict[str, Any]) -> list[Markup]:
    content = operation.get("requestBody", {}).get("content", {})
    return [joined(element("h3", f"Body, {kind}"), _shape(body["schema"])) for kind, body in content.items()]


def _shape(schema: dict[str, Any]) -> Markup:
    """An object's properties as a table; anything else as a sentence."""
    if "properties" not in schema:
        return element("p", _type(schema))
    required = schema.get("required", [])
    rows = [
        (element("code", name), joined(_type(one), ", required" if name in required else ""), _told(one))
        for name, one in schema["properties"].items()
    ]
    return _table(("Field", "Type", "Meaning"), rows)


def _parameters(operation: dict[str, Any], document: dict[str, Any]) -> Markup | None:
    given = [_resolved(one, document) for one in operation.get("parameters", ())]
    if not given:
        return None
    rows = [
        (
            element("code", one["name"]),
            joined(one["in"], ": ", _type(one["schema"])),
            _text(one.get("description") or one["schema"].get("description", "")),
        )
        for one in given
    ]
    return joined(element("h3", "Path, query and headers"), _table(("Name", "Type", "Meaning"), rows))


def _answers(operation: dict[str, Any]) -> Markup:
    rows = []
    for status, answer in operation["responses"].items():
        if "$ref" in answer:
            name = answer["$ref"].rpartition("/")[2]
            rows.append((element("a", status, href="#errors"), element("code", "Error"), _spaced(name)))
            continue
        kinds = [joined(element("code", kind), " ", _type(one["schema"])) for kind, one in _content(answer)]
        lines = (element("span", kind, class_="line") for kind in kinds)
        rows.append((joined(status), joined(*lines), _text(answer["description"])))
    return joined(element("h3", "Answers"), _table(("Status", "Body", "Meaning"), rows))


def _content(answer: dict[str, Any]) -> list[tuple[str, Any]]:
    return list(answer.get("content", {}).items())


def _errors(document: dict[str, Any]) -> Markup:
    rows = [(_spaced(name), _text(one["description"])) for name, one in document["components"]["responses"].items()]
    about = "Always this envelope, with a fixed message: never a path, an address or a traceback."
    sample = '{"error": {"message": "...", "type": "...", "param": null, "code": "overloaded"}}'
    code = element("pre", element("code", sample), tabindex="0", aria_label="An error")
    return element(
        "section", element("h2", "Errors"), element("p", about), code, _table(("Error", "Codes"), rows), id="errors"
    )


def _schemas(document: dict[str, Any]) -> Markup:
    told = []
    for name, schema in document["components"]["schemas"].items():
        about = element("p", _text(schema["description"])) if "description" in schema else None
        told.append(element("details", element("summary", element("code", name)), about, _shape(schema), id=name))
    return element("section", element("h2", "Bodies"), *told)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[Markup, ...]]) -> Markup:
    head = element("thead", element("tr", *(element("th", text, scope="col") for text in heads)))
    body = element("tbody", *(element("tr", *(element("td", cell) for cell in row)) for row in rows))
    return element("div", element("table", head, body), class_="wide", tabindex="0")


def _type(schema: dict[str, Any]) -> Markup:
    """A schema in a few words, with links to those that have a place of their own."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return element("a", name, href=f"#{name}")
    if "anyOf" in schema:
        first, *others = (_type(one) for one in schema["anyOf"])
        return joined(first, *(joined(" or ", one) for one in others))
    if "const" in schema:
        return element("code", schema["const"])
    if "enum" in schema:
        return joined("one of ", element("code", ", ".join(map(str, schema["enum"]))))
    kind = schema.get("type", "any")
    if kind == "array":
        return joined("list of ", _type(schema["items"]))
    words = " or ".join(kind) if isinstance(kind, list) else "file" if schema.get("format") == "binary" else str(kind)
    bounds = f", {schema['minimum']:g} to {schema['maximum']:g}" if "maximum" in schema else ""
    return joined(words + bounds)


def _told(schema: dict[str, Any]) -> Markup:
    default = (
        joined(" Default: ", element("code", str(schema["default"]).lower()), ".") if "default" in schema else None
    )
    return joined(_text(schema.get("description", "")), default)


def _text(text: str) -> Markup:
    """Text whose `code` is set as such."""
    parts = text.split("`")
    return joined(*(element("code", part) if at % 2 else part for at, part in enumerate(parts)))


def _spaced(name: str) -> Markup:
    return joined(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))


def _resolved(one: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in one:
        return one
    found: dict[str, Any] = document["components"]["parameters"][one["$ref"].rpartition("/")[2]]
    return found
