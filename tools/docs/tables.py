"""The tables: each is made of what it tells of, and stands in a page between a marker of its name and the next end."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]

from generation import services
from generation.services import Service
from tools.sources import DESCRIPTION, FUNCTIONS, ROOT

_BLOCK = re.compile(r"^( *)<!-- (\w+)(?: in (\w\w))? -->\n.*?^ *<!-- end -->$", re.MULTILINE | re.DOTALL)
_HELP = re.compile(r"^([a-z][a-z %-]*):[^#\n]*## (.*)", re.MULTILINE)
_MOST_CHOICES = 6
# The columns of the one table that is in pages of more than one language; its cells have no words.
_COLUMNS = {
    "en": ("service", "make", "list", "files", "providers", "bucket"),
    "es": ("servicio", "crear", "listar", "ficheros", "proveedores", "bucket"),
}


def written(page: str) -> str:
    """The page with each of its tables as the sources have it. Raises ``KeyError`` for a marker of no table."""

    def block(match: re.Match[str]) -> str:
        indent, name, language = match[1], match[2], match[3]
        table = _services(language or "en") if name == "services" else TABLES[name]()
        marker = f"<!-- {name}{f' in {language}' if language else ''} -->"
        return "\n".join(f"{indent}{line}".rstrip() for line in (marker, "", *table, "", "<!-- end -->"))

    return _BLOCK.sub(block, page)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [[cell.replace("|", r"\|") for cell in row] for row in (columns, *rows)]
    lines = [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in cells]
    return [lines[0], "|" + "---|" * len(columns), *lines[1:]]


def _found() -> list[Service]:
    return list(services.found(FUNCTIONS))


def _services(language: str) -> list[str]:
    return _table(
        _COLUMNS[language],
        (
            (
                f"`{service.name}`",
                f"`POST /{service.name}/generate`",
                f"`GET /admin/{service.plural}`",
                ", ".join(f"`{service.filename}.{extension}`" for extension in service.extensions),
                ", ".join(f"`{name}`" for name in service.providers),
                f"`llmhist-{service.name}-<stage>`",
            )
            for service in _found()
        ),
    )


def _routes() -> list[str]:
    described = json.loads(DESCRIPTION.read_text())
    access = {(): "", ((),): "", ((), ("accessToken",)): "if there is one", (("accessToken",),): "needed"}
    rows = []
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            token = access[tuple(tuple(scheme) for scheme in operation["security"])]
            answers = ", ".join(status for status in operation["responses"] if status < "400")
            rows.append((f"`{method.upper()} {path}`", operation["summary"], token, answers))
    return _table(("call", "what it does", "token", "answers"), rows)


def _template() -> Mapping[str, Any]:
    parsed: Mapping[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return parsed


def _parameters() -> list[str]:
    rows = []
    for name, parameter in _template()["Parameters"].items():
        default = f"`{parameter['Default']}`" if parameter.get("Default", "") != "" else ""
        allowed = [f"`{value}`" for value in parameter.get("AllowedValues", ())]
        choices = f" One of {', '.join(allowed)}." if 0 < len(allowed) <= _MOST_CHOICES else ""
        given = default if "Default" in parameter else "must be given"
        rows.append((f"`{name}`", given, parameter["Description"].strip() + choices))
    return _table(("parameter", "default", "meaning"), rows)


def _limits() -> list[str]:
    parameters = _template()["Parameters"]

    def default(name: str) -> str:
        return str(parameters[name]["Default"])

    accounts = [
        (f"`POST /auth/{name}`", "", default(f"{name.capitalize()}RateLimit"), f"`{name.capitalize()}RateLimit`")
        for name in ("register", "login")
    ]
    generating = [
        (
            f"`POST /{service.name}/generate`",
            default(f"{service.pascal}RateLimit"),
            default(f"{service.pascal}AnonymousRateLimit"),
            f"`{service.pascal}RateLimit`, `{service.pascal}AnonymousRateLimit`",
        )
        for service in _found()
    ]
    others = default("DefaultRateLimit")
    return _table(
        ("calls", "for a user, with a token", "for an address, without", "parameters"),
        [*accounts, *generating, ("all others together", others, others, "`DefaultRateLimit`")],
    )


def _commands() -> list[str]:
    makefile = (ROOT / "Makefile").read_text()
    rows = []
    for names, text in _HELP.findall(makefile):
        targets = [f"`make {name.replace('%', '<service>')}`" for name in names.split()]
        rows.append((", ".join(targets), text))
    return _table(("command", "what it does"), rows)


TABLES: Mapping[str, Callable[[], list[str]]] = {
    "routes": _routes,
    "parameters": _parameters,
    "limits": _limits,
    "commands": _commands,
}
