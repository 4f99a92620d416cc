"""GET /tts/{id}: one generation, for whoever may read it."""

from generation.endpoints.get import get
from tts.service import SERVICE

handler = get(SERVICE)
