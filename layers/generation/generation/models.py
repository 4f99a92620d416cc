"""The models that a provider offers, as settings list them: ``alias=upstream-model:contextTokens``, comma list."""

import re
from collections.abc import Mapping

from core.errors import FieldError
from core.settings import Setting, SettingsError
from generation.providers import ProviderError
from generation.texts import Model

# The upstream's own name may have colons, as Bedrock's have; the context's tokens stand behind the last one.
_MODEL = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]{0,63})\s*=\s*(\S+?)\s*:\s*([1-9]\d{0,8})\s*", re.ASCII)


def read(setting: Setting, environ: Mapping[str, str]) -> tuple[Model, ...]:
    """The models of the setting, the default first. Raises ``SettingsError`` that says which part is not valid."""
    listed = [part for part in setting.read(environ).split(",") if part.strip()]
    found: dict[str, Model] = {}
    for place, part in enumerate(listed, start=1):
        model = _MODEL.fullmatch(part)
        if model is None:
            raise SettingsError(f"{setting.parameter}: model {place} is not written alias=upstream-model:contextTokens")
        if model[1] in found:
            raise SettingsError(f"{setting.parameter} has the alias {model[1]} twice")
        found[model[1]] = Model(model[1], int(model[3]), model[2])
    if not found:
        raise SettingsError(f"{setting.parameter} lists no model")
    return tuple(found.values())


def lacks(models: tuple[Model, ...], alias: str) -> FieldError | None:
    """What a provider says of a model that it does not offer; an empty alias is its default."""
    choices = [model.id for model in models]
    return FieldError("model", f"Must be one of: {', '.join(choices)}.") if alias and alias not in choices else None


def chosen(models: tuple[Model, ...], alias: str) -> Model:
    """The model that a request names, the default when it names none. Raises ``ProviderError`` for no such alias."""
    if lacks(models, alias):
        raise ProviderError("no such model")
    return next((model for model in models if model.id == alias), models[0])
