"""GET /admin/chats: the caller's answers, newest first; an administrator may ask for anybody's."""

from chat.service import SERVICE
from generation.endpoints.list import list

handler = list(SERVICE)
