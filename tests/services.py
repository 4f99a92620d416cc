"""The generating services that there are: a test of what they share runs for each."""

from tools.sources import FUNCTIONS

from generation import services

SERVICES = tuple(services.found(FUNCTIONS))
NAMES = [service.name for service in SERVICES]
