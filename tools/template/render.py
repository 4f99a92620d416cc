"""Render the template. What services and their providers need comes from their descriptors and settings."""

import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.settings import Setting
from generation import services
from generation.services import Service
from tools import calls_view
from tools.sources import FUNCTIONS
from tools.template.gateway import RESPONSES

_MOST_OF_OR = 10
METHODS = ("delete", "get", "head", "patch", "post", "put")
# The gateway's way to call the function that refuses a method.
REFUSE = (
    "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${MethodFunction.Arn}/invocations"
)
# The layers that functions get because of a provider; what every function of the plane has is not among them.
_LAYERS_OF_THE_PLANE = ("core", "generation")


def template(folder: Path = FUNCTIONS) -> str:
    """The text of template.yaml for the services in a folder of functions."""
    found = list(services.found(folder))
    routes: dict[str, set[str]] = {}

    def collect(method: str, path: str) -> None:
        routes.setdefault(path, set()).update({method, "head"} if method == "get" else {method})

    def refused() -> Iterator[tuple[str, list[str]]]:
        return ((path, [one for one in METHODS if one not in has]) for path, has in sorted(routes.items()))

    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent, folder]),
        undefined=StrictUndefined,
        variable_start_string="<<",
        variable_end_string=">>",
        extensions=["jinja2.ext.do"],
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  it is YAML
    )
    environment.globals |= {
        "services": found,
        "settings": _settings(found),
        "layers_of": layers_of,
        "environment_of": lambda service: [f"{each.variable}: !Ref {each.parameter}" for each in _settings([service])],
        "unbounded_of": unbounded_of,
        "chains_with": chains_with,
        "variables_of": lambda service: [f"{name}: {value}" for name, value in service.variables.items()],
        "grants_of": lambda service: [each for each in _settings([service]) if each.grants],
        "collect": collect,
        "refused": refused,
        "refuse": REFUSE,
        "event_name": event_name,
        "gateway_responses": RESPONSES,
        "queues_in": queues_in,
        "calls": calls_view,
    }
    text = environment.get_template("template.yaml.j2").render()
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text))


def queues_in(text: str, *, dead: bool) -> list[str]:
    """The queues of a part of the template: those of dead letters, or the others."""
    found: list[str] = re.findall(r"^  (\w+):\n    Type: AWS::SQS::Queue$", text, re.MULTILINE)
    return [name for name in found if name.endswith("DeadLetters") is dead]


def layers_of(service: Service) -> list[str]:
    """The layers of a service's providers, as the template names them."""
    packages = dict.fromkeys(path.partition(".")[0] for path in service.providers.values())
    return [package.capitalize() for package in packages if package not in _LAYERS_OF_THE_PLANE]


def unbounded_of(service: Service) -> list[tuple[str, dict[str, str]]]:
    """The providers of a service that need actions which no resource limits: their names, and the actions' reasons."""
    needs = ((name, dict(getattr(service.provider(name), "unbounded", {}))) for name in service.providers)
    return [(name, actions) for name, actions in needs if actions]


def chains_with(provider: str, service: Service) -> list[list[str]]:
    """Every chain of the service that has the provider, in groups that ``Fn::Or`` takes: 2 to 10, and 2 groups or more.

    Conditions that look into a list (``Fn::Split``) are not evaluated everywhere.
    """
    others = [name for name in service.providers if name != provider]
    chains = [
        ",".join(chain)
        for length in range(len(others) + 1)
        for some in itertools.permutations(others, length)
        for place in range(length + 1)
        for chain in [(*some[:place], provider, *some[place:])]
    ]
    groups = max(2, -(-len(chains) // _MOST_OF_OR))
    return [chains[start::groups] for start in range(groups)]


def event_name(path: str) -> str:
    """A path as part of an event's name: ``/docs/{asset}`` is DocsAsset."""
    return "".join(word.capitalize() for word in re.findall(r"[A-Za-z0-9]+", path))


def _settings(found: Iterable[Service]) -> list[Setting]:
    """The settings of the services' providers, each once."""
    return list(
        dict.fromkeys(one for service in found for name in service.providers for one in service.provider(name).settings)
    )
