"""GET /admin/audios: the caller's history, newest first; an administrator may ask for anybody's."""

from generation.endpoints.list import list
from tts.service import SERVICE

handler = list(SERVICE)
