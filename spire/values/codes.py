"""Codes of the outside world: market identifiers, currencies, countries (docs/values.md)."""

import re
from typing import NewType

Venue = NewType("Venue", str)
"""An ISO 10383 market identifier code, such as XNYS."""

Currency = NewType("Currency", str)
"""An ISO 4217 alphabetic code, such as USD."""

Country = NewType("Country", str)
"""An ISO 3166 alpha-2 code, such as US."""

_VENUE = re.compile(r"[A-Z0-9]{4}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)


def parse_venue(text: str) -> Venue:
    """Return a venue's code; ValueError unless it is four capitals or digits."""
    if not isinstance(text, str) or not _VENUE.fullmatch(text):
        raise ValueError(f"{text!r} is no venue: write its MIC, four capitals or digits, such as XNYS")
    return Venue(text)


def parse_currency(text: str) -> Currency:
    """Return a currency's code; ValueError unless it is three capitals."""
    if not isinstance(text, str) or not _CURRENCY.fullmatch(text):
        raise ValueError(f"{text!r} is no currency: write three capitals, such as USD")
    return Currency(text)


def parse_country(text: str) -> Country:
    """Return a country's code; ValueError unless it is two capitals."""
    if not isinstance(text, str) or not _COUNTRY.fullmatch(text):
        raise ValueError(f"{text!r} is no country: write two capitals, such as US")
    return Country(text)
