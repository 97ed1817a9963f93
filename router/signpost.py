"""What a browser gets where there is nothing for it: what there is instead (core: markup out)."""

from __future__ import annotations

from collections.abc import Collection

from router.markup import element, joined

PLACES = (
    ("/", "Playground", "give it a file or speak, and see the text"),
    ("/lb-status", "Status", "the fleet and what it is doing"),
    ("/docs", "API", "every address, with examples"),
    ("/metrics", "Metrics", "for Prometheus"),
)


def page(origin: str, *, meant: str | None = None, methods: Collection[str] = ()) -> str:
    """
    The page; `meant` is the address of ours that is most like the one asked for, `methods` what this one takes instead
    of GET.
    """
    if methods:
        said = joined(f"This address is for programs: it takes {', '.join(methods)}, and browsers send GET. ")
        said = joined(said, element("a", "The API's page", href="/docs"), " has an example.")
    else:
        said = joined("There is nothing at this address.")
    way = element("p", "Did you mean ", element("a", meant, href=meant), "?") if meant else None
    rows = [
        element("tr", element("td", element("a", name, href=path), element("small", path)), element("td", about))
        for path, name, about in PLACES
    ]
    client = element("p", "OpenAI's clients take ", element("code", f"{origin}/v1"), " as their base URL.")
    main = element("main", element("p", said), way, element("h2", "What there is"), element("table", *rows), client)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", "whisper-fleet: not here"),
        element("link", rel="icon", href="/static/icon.svg"),
        element("link", rel="stylesheet", href="/static/style.css"),
    )
    header = element(
        "header", element("h1", "whisper-fleet"), element("p", "Not for browsers" if methods else "Not found")
    )
    return f"<!doctype html>\n{element('html', head, element('body', header, main, class_='docs'), lang='en')}\n"
