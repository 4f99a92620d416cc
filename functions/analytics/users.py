"""GET /analytics/users: what each user used, for administrators."""

from generation.usage import endpoints

handler = endpoints.users()
