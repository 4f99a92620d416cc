"""DELETE /tts/{id}: remove speech, its record and its line in the history."""

from generation.endpoints.delete import delete
from tts.service import SERVICE

handler = delete(SERVICE)
