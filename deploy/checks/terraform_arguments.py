"""
terraform_arguments.py WHEEL FOLDER: the arguments of every AWS resource and data source, against the provider's.

The wheel holds the provider's schema as Python classes, made by machine from version 6.25; it is read, not imported.
Nested blocks are checked too, one class for each.
"""

import ast
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import hcl2

META = {"count", "for_each", "depends_on", "lifecycle", "provider", "provisioner", "connection"}


class Provider:
    """The schema: for each resource its classes, and for each class its arguments."""

    def __init__(self, wheel: Path) -> None:
        self._wheel = zipfile.ZipFile(wheel)
        self._package = next(name for name in self._wheel.namelist() if name.endswith("_jsii/__init__.py")).split("/")[
            0
        ]

    def classes(self, kind: str, *, is_data: bool) -> dict[str, ast.ClassDef] | None:
        """The classes of one resource, or None if there is no such resource."""
        name = f"{self._package}/{'data_' + kind if is_data else kind.removeprefix('aws_')}"
        try:
            text = self._wheel.read(f"{name}/__init__.py").decode()
        except KeyError:
            return None
        return {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}


def arguments(config: ast.ClassDef) -> tuple[dict[str, str], set[str]]:
    """What a class takes, each with its type as written, and which of it must be given."""
    init = next(node for node in config.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    pairs = list(zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True))
    types = {arg.arg.rstrip("_"): ast.unparse(arg.annotation) if arg.annotation else "" for arg, _ in pairs}
    return types, {arg.arg.rstrip("_") for arg, default in pairs if default is None}


def problems(body: dict[str, object], config: ast.ClassDef, classes: dict[str, ast.ClassDef], at: str) -> Iterator[str]:
    """Arguments that there are not, and those that are missing, down through the blocks."""
    types, required = arguments(config)
    given = {name for name in body if not name.startswith("__")}
    yield from (f"{at}: no argument {name}" for name in sorted(given - set(types) - META))
    yield from (f"{at}: {name} is missing" for name in sorted(required - given))
    for name in sorted(given & set(types)):
        blocks = body[name] if isinstance(body[name], list) else [body[name]]
        inner = next((classes[word] for word in re.findall(r"\w+", types[name]) if word in classes), None)
        for block in blocks:  # type: ignore[union-attr]
            if inner is not None and isinstance(block, dict):
                yield from problems(block, inner, classes, f"{at}.{name}")


def found(folder: Path, provider: Provider) -> Iterator[str]:
    """Every problem of every file."""
    for path in sorted(folder.glob("*.tf")):
        document = hcl2.loads(path.read_text())
        for section in ("resource", "data"):
            for entry in document.get(section, []):
                for quoted, named in entry.items():
                    if (kind := quoted.strip('"')).startswith("aws_"):
                        yield from of_resource(kind, named, provider, is_data=section == "data")


def of_resource(kind: str, named: dict[str, dict[str, object]], provider: Provider, *, is_data: bool) -> Iterator[str]:
    """The problems of one resource."""
    classes = provider.classes(kind, is_data=is_data)
    if classes is None:
        yield f"{kind}: no such {'data source' if is_data else 'resource'}"
        return
    config = next(node for node in classes.values() if any("MetaArguments" in ast.unparse(base) for base in node.bases))
    for name, body in named.items():
        yield from problems(body, config, classes, f"{kind}.{name.strip(chr(34))}")


def main() -> int:
    """0 when nothing was found."""
    wheel, folder = map(Path, sys.argv[1:])
    said = list(found(folder, Provider(wheel)))
    print(*said, sep="\n")
    return bool(said)


if __name__ == "__main__":
    sys.exit(main())
