"""What template.yaml says of each function: its handler, layers, variables and route."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Route:
    """A route of the API and whether the gateway asks for an access token."""

    method: str
    path: str
    protected: bool


@dataclass(frozen=True)
class Function:
    """A function of the template. ``layers`` are folders of layers/.

    ``heads`` are its routes for HEAD, which stand beside those for GET.
    """

    handler: str
    layers: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    routes: tuple[Route, ...]
    heads: tuple[Route, ...]

    @property
    def module(self) -> str:
        """The module of the handler, such as ``auth.login``."""
        return self.handler.rpartition(".")[0]


@lru_cache
def template() -> dict[str, Any]:
    """The whole template, with intrinsic functions in their long form."""
    parsed: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return parsed


@lru_cache
def functions() -> dict[str, Function]:
    """The functions by their modules."""
    found = [
        _function(resource["Properties"])
        for resource in template()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    ]
    return {function.module: function for function in found}


def _function(properties: dict[str, Any]) -> Function:
    shared = template()["Globals"]["Function"]["Environment"]["Variables"]
    variables = shared | properties.get("Environment", {}).get("Variables", {})
    layers = properties.get("Layers", [])
    calls = [event["Properties"] for event in properties.get("Events", {}).values() if event["Type"] == "Api"]
    routes = [Route(call["Method"].upper(), call["Path"], "Auth" in call) for call in calls]
    return Function(
        handler=properties["Handler"],
        layers=tuple(_folder(layer["Ref"]) for layer in layers),
        # What only a stack knows has a stand-in.
        variables=tuple((name, value if isinstance(value, str) else "unknown") for name, value in variables.items()),
        routes=tuple(route for route in routes if route.method != "HEAD"),
        heads=tuple(route for route in routes if route.method == "HEAD"),
    )


def _folder(layer: str) -> str:
    uri: str = template()["Resources"][layer]["Properties"]["ContentUri"]
    return uri.strip("/").removeprefix("layers/")
