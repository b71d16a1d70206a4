"""Packages: credits that are bought once."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, ForeignKey, Integer, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from webapp.catalog.validity import Validity
from webapp.extensions import Base

EVERYONE = "everyone"
SUBSCRIBERS = "subscribers"


class Package(Base):
    """`credits` credits for one payment; name and description are the English source texts.

    `version` counts the changes: who changes it says which one they saw.
    """

    __tablename__ = "packages"

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    credits: Mapped[int] = mapped_column(BigInteger)
    valid_months: Mapped[int | None] = mapped_column(Integer)
    valid_days: Mapped[int | None] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(Integer)
    active: Mapped[bool]
    popular: Mapped[bool]
    who_may_buy: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    prices: Mapped[list["PackagePrice"]] = relationship(lazy="selectin", order_by="PackagePrice.currency")

    @property
    def validity(self) -> Validity:
        return Validity(months=self.valid_months, days=self.valid_days)

    @property
    def for_subscribers(self) -> bool:
        return self.who_may_buy == SUBSCRIBERS

    def price_minor(self, currency: str) -> int | None:
        """The price in the minor unit of `currency`; None where the package is not offered in it."""
        return next((price.price_minor for price in self.prices if price.currency == currency), None)


class PackagePrice(Base):
    """What a package costs in one currency, in its minor unit."""

    __tablename__ = "package_prices"

    package: Mapped[str] = mapped_column(ForeignKey("packages.code"), primary_key=True)
    currency: Mapped[str] = mapped_column(Text, primary_key=True)
    price_minor: Mapped[int] = mapped_column(BigInteger)


def list_packages(session: Session) -> Sequence[Package]:
    """The packages on sale, in the order of the shop window, with their prices."""
    return session.scalars(select(Package).where(Package.active).order_by(Package.position, Package.code)).all()


def find_package(session: Session, *, code: str) -> Package | None:
    """The package of that code, on sale or not."""
    if "\x00" in code:  # PostgreSQL's text cannot hold it
        return None
    return session.get(Package, code)
