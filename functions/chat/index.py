"""The index of chat: a line in its owner's history for each answer, none for a deleted one."""

from chat.service import SERVICE
from generation.endpoints.index import index

handler = index(SERVICE)
