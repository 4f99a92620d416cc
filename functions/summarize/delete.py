"""DELETE /summarize/{id}: remove a summary, its record and its line in the history."""

from generation.endpoints.delete import delete
from summarize.service import SERVICE

handler = delete(SERVICE)
