"""GET /image/{id}: one generation, for whoever may read it."""

from generation.endpoints.get import get
from image.service import SERVICE

handler = get(SERVICE)
