"""Accounts: register, log in, keep and end sessions."""

from core.areas import Area

SERVICE = Area(name="auth", tag="Accounts", about="Make an account, log in, keep and end sessions.", order=10)
