"""Members, for the tests of this folder."""

from tests.credits.member import member, new_member, shop, statements

__all__ = ["member", "new_member", "shop", "statements"]
