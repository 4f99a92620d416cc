"""GET /chat/sessions: the caller's sessions, the last used first."""

from dataclasses import replace
from typing import Annotated, get_args

from chat.service import SERVICE
from core.http import REQUIRED, Api
from core.query import Cursor, Flag, Limit
from generation import cursors
from generation.chat.sessions import ChatSessions, open_sessions

Starred = Annotated[
    bool | None,
    replace(
        get_args(Flag)[1],
        description="`true`: only those with a star; `false`: only those without one.",
    ),
]
handler = api = Api(caller=REQUIRED)


@api.get(f"/{SERVICE.name}/sessions", operation_id="listChatSessions")
def sessions(limit: Limit = 20, cursor: Cursor = None, starred: Starred = None) -> ChatSessions:
    """200 with a page of sessions."""
    return open_sessions().page(api.user.sub, cursors.signer(), limit=limit, cursor=cursor, starred=starred)
