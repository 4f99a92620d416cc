"""DELETE /image/{id}: remove a picture, its record and its line in the history."""

from generation.endpoints.delete import delete
from image.service import SERVICE

handler = delete(SERVICE)
