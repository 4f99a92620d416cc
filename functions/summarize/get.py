"""GET /summarize/{id}: one generation, for whoever may read it."""

from generation.endpoints.get import get
from summarize.service import SERVICE

handler = get(SERVICE)
