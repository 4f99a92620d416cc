"""The accounts themselves."""

from core.areas import Area

SERVICE = Area(name="users", tag="Accounts", order=11)
