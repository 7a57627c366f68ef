"""`spire-admin entitle`: who may see which market data."""

from typing import Any, Final

import click

from spire.administration.values import EntitlementGrant, GrantMode, GrantTerms, SubscriberStatus
from spire.client.platform import Spire
from spire.marketdata.values import RecordType
from spire.operations.commands.accounts import Names, Principal, account_argument, principal, reason_option
from spire.operations.commands.output import Column, Output
from spire.operations.commands.parameters import MOMENT, Whole, number_or_none, time_or_none
from spire.operations.commands.shell import logged_in
from spire.values.codes import Venue
from spire.values.time import Timestamp, format_timestamp
from spire.wire.errors import Forbidden, NotFound, SpireError

SERVICE: Final = "administration_service"
ALL: Final = "all"

COLUMNS: Final = (
    Column("grant_id", "Grant", numeric=True),
    Column("account", "Account", number="account_id"),
    Column("venue", "Venue"),
    Column("type", "Type"),
    Column("mode", "Mode"),
    Column("product", "Product"),
    Column("effective_from", "From (UTC)", is_time=True),
    Column("effective_to", "To (UTC)", is_time=True),
    Column("granted_by", "By", number="granted_by_id"),
    Column("reason", "Reason"),
)

REVOKED_COLUMNS: Final = (
    *COLUMNS,
    Column("revoked", "Revoked (UTC)", is_time=True),
    Column("revoked_by", "Revoked by", number="revoked_by_id"),
    Column("revoke_reason", "Why"),
)

type_option = click.option(
    "--type",
    "record_type",
    type=click.Choice(list(RecordType.__members__), case_sensitive=False),
    help="This type of record. [default: every one]",
)


@click.group()
def entitle() -> None:
    """Grant and revoke market data, by listing venue and type of record."""


@entitle.command()
@account_argument
@click.option("--venue", required=True, help="The listing venue, as XNYS, or all.")
@type_option
@click.option("--product", help="The product of the exchange's contract. [default: the venue]")
@click.option("--source-venue", help="The venue that the data comes from, for the exchange's reports.")
@click.option(
    "--mode",
    type=click.Choice(list(GrantMode.__members__), case_sensitive=False),
    default="REAL_TIME",
    show_default=True,
    help="How it may be used.",
)
@click.option(
    "--subscriber",
    type=click.Choice(list(SubscriberStatus.__members__), case_sensitive=False),
    default="PROFESSIONAL",
    show_default=True,
    help="What the subscriber is to the exchange.",
)
@click.option("--from", "start", type=MOMENT, help="From this time on: 2013-10-08T13:30:00Z. [default: at once]")
@click.option("--to", "end", type=MOMENT, help="Until before this time. [default: until it is revoked]")
@reason_option
@logged_in
async def grant(
    spire: Spire,
    output: Output,
    account: str,
    venue: str,
    record_type: str | None,
    product: str | None,
    source_venue: str | None,
    mode: str,
    subscriber: str,
    start: Timestamp | None,
    end: Timestamp | None,
    reason: str,
) -> None:
    """Let ACCOUNT see market data of a listing venue.

    For example: spire-admin entitle grant ann --venue XNYS --type BBO --reason "she trades there"
    """
    found = await principal(spire, account)
    await spire.ready(SERVICE)
    terms = GrantTerms(
        account_id=found.entry_id,
        product=product or venue,
        listing_venue=_venue(venue),
        source_venue=None if source_venue is None else Venue(source_venue),
        record_type=None if record_type is None else RecordType[record_type.upper()],
        mode=GrantMode[mode.upper()],
        subscriber=SubscriberStatus[subscriber.upper()],
        effective_from=start,
        effective_to=end,
    )
    made = await spire.administration.grant(terms, reason)
    output.table(COLUMNS, [await grant_row(made, Names(spire))])


@entitle.command()
@account_argument
@click.option("--venue", help="The listing venue of the grants, as XNYS, or all for those that name every venue.")
@click.option(
    "--type",
    "record_type",
    type=click.Choice([*RecordType.__members__, ALL], case_sensitive=False),
    help="Grants of this type of record, or all, whatever their type. [default: those that name no type]",
)
@click.option("--grant", "grant_id", type=Whole(min=1), help="This grant, by its number.")
@reason_option
@logged_in
async def revoke(
    spire: Spire,
    output: Output,
    account: str,
    venue: str | None,
    record_type: str | None,
    grant_id: int | None,
    reason: str,
) -> None:
    """Revoke grants of ACCOUNT at once: what it has open ends.

    For example: spire-admin entitle revoke ann --venue XNYS --reason "she has left the floor"

    Grants are taken as they were made: one of every venue is revoked with --venue all, one of every type without --type,
    those of a single type with --type BBO or --type all. They go one after another: if one fails, those before it are
    revoked and shown, and the error follows.
    """
    if (venue is None) == (grant_id is None):
        raise click.UsageError("Name either --venue or --grant.")
    if venue is None and record_type is not None:
        raise click.UsageError("--type goes with --venue.")
    found = await principal(spire, account)
    await spire.ready(SERVICE)
    grants = [one for one in await _grants(spire, found, grant_id, reason) if one.revoked is None]
    meant = [one for one in grants if _is_meant(one, venue, record_type, grant_id)]
    if not meant:
        raise NotFound(_nothing_meant(found.typed, grants, venue))
    revoked, failure = await _revoke(spire, meant, reason)
    if failure is not None and not revoked:
        raise failure
    names = Names(spire)
    output.table(REVOKED_COLUMNS, [await grant_row(one, names) for one in revoked])
    output.note(f"Revoked of {found.typed}: {', '.join(map(_words, revoked))}.")
    if failure is not None:
        rest = ", ".join(map(_words, meant[len(revoked) :]))
        output.note(f"Not known to be revoked: {rest}. See: spire-admin entitle list {found.typed}")
        raise failure
    left = [str(one.grant_id) for one in grants if one not in meant and _still_shows(one, venue)]
    if left:
        output.note(f"{found.typed} still sees data of {venue} by grant {', '.join(left)}.")


async def _grants(spire: Spire, found: Principal, grant_id: int | None, reason: str) -> tuple[EntitlementGrant, ...]:
    """Return the grants of an account; where they are not told, a single one is revoked unseen: the refusal is recorded."""
    try:
        return await spire.administration.grants_of(found.entry_id)
    except (Forbidden, NotFound):
        if grant_id is not None:
            await spire.administration.revoke(grant_id, reason)
        raise


async def _revoke(
    spire: Spire, grants: list[EntitlementGrant], reason: str
) -> tuple[list[EntitlementGrant], SpireError | None]:
    """Revoke grants one after another; return what was revoked, and the error that ended it before the last one."""
    revoked: list[EntitlementGrant] = []
    for one in grants:
        try:
            revoked.append(await spire.administration.revoke(one.grant_id, reason))
        except SpireError as error:
            return revoked, error
    return revoked, None


def _is_meant(grant: EntitlementGrant, venue: str | None, record_type: str | None, grant_id: int | None) -> bool:
    if grant_id is not None:
        return grant.grant_id == grant_id
    assert venue is not None
    if grant.terms.listing_venue != _venue(venue):
        return False
    if record_type is None:
        return grant.terms.record_type is None
    return record_type.lower() == ALL or grant.terms.record_type is RecordType[record_type.upper()]


def _nothing_meant(name: str, grants: list[EntitlementGrant], venue: str | None) -> str:
    """Return why nothing was revoked."""
    kinds = {
        one.terms.record_type.name
        for one in grants
        if venue is not None and one.terms.listing_venue == _venue(venue) and one.terms.record_type is not None
    }
    if kinds:
        return (
            f"{name} has grants of {venue} of single types ({', '.join(sorted(kinds))}): name one with --type, or all."
        )
    return f"{name} has no such grant. See: spire-admin entitle list {name}"


def _words(grant: EntitlementGrant) -> str:
    """Return what a grant shows."""
    kind = "every type" if grant.terms.record_type is None else grant.terms.record_type.name
    venue = "every venue" if grant.terms.listing_venue is None else grant.terms.listing_venue
    return f"{kind} of {venue} (grant {grant.grant_id})"


def _still_shows(grant: EntitlementGrant, venue: str | None) -> bool:
    return venue is not None and grant.terms.listing_venue in (None, _venue(venue))


@entitle.command("list")
@account_argument
@click.option("--all", "everything", is_flag=True, help="Revoked ones too.")
@logged_in
async def list_grants(spire: Spire, output: Output, account: str, everything: bool) -> None:
    """List the grants of ACCOUNT.

    For example: spire-admin entitle list ann --all
    """
    found = await principal(spire, account)
    await spire.ready(SERVICE)
    names = Names(spire)
    rows = [
        await grant_row(one, names)
        for one in await spire.administration.grants_of(found.entry_id)
        if everything or one.revoked is None
    ]
    if everything:
        output.table(REVOKED_COLUMNS, rows, empty=f"{account} has no grant.")
    else:
        output.table(COLUMNS, rows, empty="No grants; --all shows revoked ones.")


def _venue(text: str) -> Venue | None:
    return None if text.lower() == ALL else Venue(text)


async def grant_row(grant: EntitlementGrant, names: Names) -> dict[str, Any]:
    """Return one line of grants."""
    terms = grant.terms
    return {
        "grant_id": str(grant.grant_id),
        "account": await names.of(terms.account_id),
        "account_id": str(terms.account_id),
        "venue": terms.listing_venue or ALL,
        "type": ALL if terms.record_type is None else terms.record_type.name,
        "mode": terms.mode.name,
        "product": terms.product,
        "source_venue": terms.source_venue,
        "subscriber": terms.subscriber.name,
        "effective_from": format_timestamp(grant.effective_from),
        "effective_to": time_or_none(grant.effective_to),
        "granted": format_timestamp(grant.granted),
        "granted_by": await names.of(grant.granted_by),
        "granted_by_id": str(grant.granted_by),
        "reason": grant.reason,
        "revoked": time_or_none(grant.revoked),
        "revoked_by": await names.of(grant.revoked_by),
        "revoked_by_id": number_or_none(grant.revoked_by),
        "revoke_reason": grant.revoke_reason,
    }
