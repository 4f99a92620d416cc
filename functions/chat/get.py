"""GET /chat/{id}: one answer, for whoever may read it."""

from chat.service import SERVICE
from generation.endpoints.get import get

handler = get(SERVICE)
