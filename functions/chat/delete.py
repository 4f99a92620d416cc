"""DELETE /chat/{id}: remove an answer, its record and its line in the history."""

from chat.service import SERVICE
from generation.endpoints.delete import delete

handler = delete(SERVICE)
