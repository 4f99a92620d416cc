"""The descriptors of the services: what is wrong with one is told when it is imported."""

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from tools.sources import FUNCTIONS

from core.description import Described
from generation import schemas, services
from generation.endpoints.generate import Wanted
from generation.providers import Deadline
from generation.services import CONTENT_TYPES, Service
from generation.texts import Message, TextRequest
from image.service import SERVICE as IMAGE
from tests.services import NAMES, SERVICES
from tests.unit.stand_ins import is_generic, model_of, stand_in

each_service = pytest.mark.parametrize("service", SERVICES, ids=NAMES)


def changed(**changes: Any) -> Service:
    """The descriptor of pictures, changed."""
    return dataclasses.replace(IMAGE, **changes)


@pytest.mark.parametrize("name", ["", "a", "Image", "text2speech", "long" * 5, "im-age", "image\n"])
def test_a_name_is_a_word_of_small_letters(name: str) -> None:
    with pytest.raises(ValueError, match="is not a service's name"):
        changed(name=name)


def test_an_ending_without_a_media_type_is_told() -> None:
    with pytest.raises(ValueError, match="image: no media type is known for exe"):
        changed(extensions=("png", "exe"))


def test_a_chain_of_strangers_is_told() -> None:
    with pytest.raises(ValueError, match="image: dalle is not among its providers"):
        changed(chain=("offline", "dalle"))


@each_service
def test_no_two_services_share_a_word(service: Service) -> None:
    for other in set(SERVICES) - {service}:
        for word in ("name", "plural", "operation", "schema", "tag"):
            assert getattr(service, word) != getattr(other, word), word
        assert not {service.name, *service.aliases} & {other.name, *other.aliases}


@each_service
def test_the_names_of_providers_lead_to_providers(service: Service) -> None:
    for name in service.providers:
        provider = service.provider(name)
        assert provider.from_env({}).name == name
        assert all(setting.variable for setting in provider.settings)
    with pytest.raises(KeyError):
        service.provider("nobody")


@each_service
def test_a_sample_is_a_request_that_every_provider_of_the_service_can_serve(service: Service) -> None:
    providers = [service.provider(name).from_env({}) for name in service.providers]
    request = request_of(service, providers)
    assert [provider.refuses(request) for provider in providers] == [None] * len(providers)
    assert stand_in(service).generate(request, Deadline(9)).content_type in CONTENT_TYPES.values()


def request_of(service: Service, providers: Sequence[Any]) -> Any:
    """What the generating route asks providers for, to make the sample."""
    wanted = model_of(service).model_validate(service.sample)
    if isinstance(wanted, Wanted):
        return wanted.order(providers).request
    # A text provider is asked with messages, whatever they are put together from.
    return TextRequest((Message("user", next(iter(service.sample.values()))),))


@pytest.mark.parametrize("service", list(filter(is_generic, SERVICES)), ids=lambda service: service.name)
def test_what_is_kept_of_a_request_is_what_it_said_and_what_is_shown(service: Service) -> None:
    providers = [service.provider(name).from_env({}) for name in service.providers]
    wanted = model_of(service).model_validate(service.sample)
    assert isinstance(wanted, Wanted)
    order = wanted.order(providers)
    assert order.prompt == next(iter(service.sample.values()))
    assert order.params.keys() <= model_of(service).model_fields.keys() | service.shown.keys()
    # Of what a request leaves open, only what somebody decided is shown.
    decided = wanted.model_dump(by_alias=True, exclude_none=True)
    assert order.params.keys() >= service.shown.keys() & decided.keys()


@each_service
def test_what_is_shown_and_told_is_annotated_for_the_description(service: Service) -> None:
    for name, annotated in {**service.shown, **service.told}.items():
        assert [isinstance(part, Described) for part in get_args(annotated)] == [False, True], name


@each_service
def test_a_service_that_does_as_all_do_has_the_functions_of_all(service: Service) -> None:
    for name in ("generate", "get", "download", "list", "delete", "index"):
        assert callable(importlib.import_module(f"{service.name}.{name}").handler)


@each_service
def test_each_service_has_schemas_of_its_own(service: Service) -> None:
    """A service that is added changes nothing in what the description says of another."""
    made = [make(service) for make in (schemas.generation, schemas.links, schemas.page, schemas.download)]
    names = {one.__name__ for one in made}
    assert names == {service.schema, *(f"{service.schema}{part}" for part in ("Links", "Items", "Download"))}
    for other in set(SERVICES) - {service}:
        assert not names & {make(other).__name__ for make in (schemas.generation, schemas.links, schemas.page)}
    shown = {*service.shown, "provider", "model", "latencyMs", "contentType", "bytes", "fallbackFrom", "fallbackReason"}
    assert set(made[0].__annotations__["meta"].__annotations__) == shown
    assert set(service.told) <= set(made[0].__annotations__)


def test_the_registry_finds_the_services_among_the_areas() -> None:
    assert [service.name for service in services.found(FUNCTIONS)] == NAMES
    assert {"image", "tts"} <= set(NAMES)
