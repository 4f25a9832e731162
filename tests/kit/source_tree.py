"""The project's source, read as trees: who imports what, and which names are used. Nothing is imported."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "sidecar"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name: by whom, which module, on which line, and whether it is there at run time."""

    module: str
    target: str
    line: int
    typing_only: bool
    inside_function: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


@cache
def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text())


def under(module: str, name: str) -> bool:
    """`module` is `name` or below it; with a `*` also a file that begins with it (`settings_times`)."""
    bare = name.removesuffix("*")
    return module == bare or module.startswith(f"{bare}.") or (name != bare and module.startswith(f"{bare}_"))


def is_typing_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@cache
def imports(module: str) -> tuple[Import, ...]:
    found: list[Import] = []

    def visit(node: ast.AST, *, typing_only: bool, inside: bool) -> None:
        line = getattr(node, "lineno", 0)
        found.extend(Import(module, target, line, typing_only, inside) for target in targets(node))
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, typing_only=typing_only or is_typing_guard(node), inside=inside)

    visit(tree(module), typing_only=False, inside=False)
    return tuple(found)


def targets(node: ast.AST) -> Iterator[str]:
    """What an import statement names, as modules: `from sidecar import call` is `sidecar.call`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute: a moved file must not change its meaning"
        base = node.module or ""
        for alias in node.names:
            whole = f"{base}.{alias.name}"
            yield whole if whole in modules() else base


def ours() -> Iterator[Import]:
    for module in modules():
        yield from (found for found in imports(module) if found.target.split(".")[0] == "sidecar")


def dotted(node: ast.AST) -> str:
    """`a.b.c` for a chain of names, else the last name known."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def names_used(module: str) -> Iterator[tuple[str, int]]:
    """Every dotted name that `module` uses, an imported one by its full name."""
    full: dict[str, str] = {}
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom):
            full |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute | ast.Name):
            head, dot, rest = dotted(node).partition(".")
            yield full.get(head, head) + dot + rest, node.lineno
