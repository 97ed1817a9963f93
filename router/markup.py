"""HTML that is escaped unless it was built here: text can become an element's content, never an element (core)."""

from __future__ import annotations

from html import escape

VOID = frozenset(["input", "link", "meta"])


class Markup(str):
    """HTML that is safe to send; only `element` and `joined` make it."""

    __slots__ = ()


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """
    `<name attributes>children</name>`; whatever is not Markup is escaped.

    An attribute of None or False is left out, one of True has no value; `class_` is class, `data_key` is data-key.
    """
    spelled = "".join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    start = f"<{name}{spelled}>"
    return Markup(start if name in VOID else f"{start}{joined(*children)}</{name}>")


def joined(*children: object) -> Markup:
    """Children one after the other; None is nothing."""
    parts = (child if isinstance(child, Markup) else escape(str(child)) for child in children if child is not None)
    return Markup("".join(parts))


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
