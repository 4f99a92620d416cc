"""Which services there are, and by which names people know them: a service is a folder in `functions`."""

from __future__ import annotations

from collections.abc import Iterable

from localstack.console import CommandFailed

# The old platform's users service is what the folders of accounts and of tokens are together; it said speech for tts.
OLD_NAMES = {"users": ("auth", "users"), "auth": ("auth", "users"), "speech": ("tts",)}


def folders(service: str, known: Iterable[str]) -> tuple[str, ...]:
    """The folders in `functions` that a service is made of.

    Raises CommandFailed, with the names of all services that are known, when it is none of them.
    """
    present = set(known)
    found = tuple(name for name in OLD_NAMES.get(service, (service,)) if name in present)
    if not found:
        old = {name for name, parts in OLD_NAMES.items() if present.intersection(parts)}
        choice = ", ".join(sorted(present | old))
        raise CommandFailed(f"service {service}", "there is none of this name", f"say one of {choice}")
    return found
