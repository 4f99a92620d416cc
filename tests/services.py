"""The generating services that there are: a test of what they share runs for each."""

from tools.sources import FUNCTIONS, add_to_path

add_to_path()

from generation import services  # noqa: E402  (the layers must be on the path)

SERVICES = tuple(services.found(FUNCTIONS))
NAMES = [service.name for service in SERVICES]
