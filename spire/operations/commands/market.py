"""`spire quotes`, `trades` and `chart`."""

import csv
from collections.abc import Callable, Sequence
from functools import partial
from io import StringIO
from typing import Any

import click

from spire.charting.values import PRICED, CandleTopic, Eligibility, candle_notional, candle_vwap
from spire.client.platform import Spire
from spire.definitions.client import DefinitionsClient
from spire.definitions.instruments import Instrument
from spire.marketdata.values import BestBidOffer, Records, RecordType, Trade, bbo_of, topic_of, trade_of
from spire.operations.commands.following import Printer, follow_to_end
from spire.operations.commands.output import Column, Output, short_time
from spire.operations.commands.parameters import INTERVAL, Whole, time_range
from spire.operations.commands.patience import answered
from spire.operations.commands.shell import logged_in
from spire.operations.commands.tickers import find_instrument
from spire.series.query import Interruption, Query
from spire.values.amounts import format_amount
from spire.values.time import Timestamp, format_timestamp
from spire.wire.errors import Invalid
from spire.wire.topics import Policy

MARKET_DATA = "market data"
"""What a relay and the Charting Server may be without."""

QUOTE_COLUMNS = (
    Column("ticker", "Ticker"),
    Column("bid_size", "Bid size", numeric=True),
    Column("bid", "Bid", numeric=True),
    Column("ask", "Ask", numeric=True),
    Column("ask_size", "Ask size", numeric=True),
    Column("last", "Last", numeric=True),
    Column("market_time", "Market time (UTC)", is_time=True),
    Column("stale", "Stale"),
)
TRADE_COLUMNS = (
    Column("sequence", "Sequence", numeric=True),
    Column("market_time", "Market time (UTC)", is_time=True),
    Column("price", "Price", numeric=True),
    Column("size", "Size", numeric=True),
    Column("venue", "Venue"),
    Column("conditions", "Conditions"),
)
CANDLE_COLUMNS = (
    Column("start", "Start (UTC)", is_time=True),
    Column("open", "Open", numeric=True),
    Column("high", "High", numeric=True),
    Column("low", "Low", numeric=True),
    Column("close", "Close", numeric=True),
    Column("volume", "Volume", numeric=True),
    Column("count", "Count", numeric=True),
    Column("vwap", "VWAP", numeric=True),
)


feed_session_option = click.option(
    "--feed-session",
    type=Whole(min=1),
    help="The records of one feed session, where a day was replayed more than once. [default: the first]",
)


@click.command()
@click.argument("tickers", nargs=-1, required=True, metavar="TICKER...")
@click.option(
    "--follow", is_flag=True, help="Go on with each change until Ctrl-C; the latest only where they come too fast."
)
@logged_in
async def quotes(spire: Spire, output: Output, tickers: tuple[str, ...], follow: bool) -> None:
    """Show the best bid and offer of each TICKER, and its last print.

    For example: spire quotes BAC.XNYS IBM.XNYS --follow

    A market is stale when no feed brings it now.
    """
    definitions = await spire.definitions_ready()
    instruments = [find_instrument(definitions, ticker) for ticker in tickers]
    await spire.ready(spire.deployment.market_data_service)
    markets = spire.market_data.markets()
    await markets.view.when_ready()
    rows, seen = [], []
    for instrument in instruments:
        snapshot = await answered(
            spire,
            output,
            MARKET_DATA,
            partial(spire.market_data.snapshot, instrument.instrument_id, with_book=False),
        )
        quote = bbo_of(snapshot.bbo[0]) if len(snapshot.bbo) else None
        last = trade_of(snapshot.trade[0]) if len(snapshot.trade) else None
        number = definitions.venues.by_mic(instrument.listing_venue).number
        rows.append(quote_row(instrument, quote, last, is_stale=markets.is_stale(number)))
        seen.append((snapshot.epoch, snapshot.bbo_through))
    output.table(QUOTE_COLUMNS, rows)
    if not follow:
        return
    printers: list[Printer[Records]] = []
    for instrument, (epoch, through) in zip(instruments, seen, strict=True):
        printer: Printer[Records] = Printer(_quote_writer(output, instrument))
        number = instrument.instrument_id
        spire.market_data.subscribe(RecordType.BBO, number, printer, after=through, epoch=epoch, policy=Policy.CONFLATE)
        printers.append(printer)
    await follow_to_end(output, spire.market_data.session, printers)


def _quote_writer(output: Output, instrument: Instrument) -> Callable[[Any], None]:
    def write(record: Any) -> None:
        quote = bbo_of(record)
        row = quote_row(instrument, quote, None, is_stale=False)
        output.line(row, quote_text(row))

    return write


def quote_text(row: dict[str, Any]) -> str:
    """Return a line of quotes as it goes by, its columns below each other."""
    shown = {name: "-" if value is None else value for name, value in row.items()}
    time = f"{short_time(shown['market_time']):<23}"
    bid, ask = f"{shown['bid_size']:>9} x {shown['bid']:<10}", f"{shown['ask']:>10} x {shown['ask_size']:<9}"
    return f"{time}  {shown['ticker']:<10}  {bid}  {ask}".rstrip()


def quote_row(
    instrument: Instrument, quote: BestBidOffer | None, last: Trade | None, *, is_stale: bool
) -> dict[str, Any]:
    """Return one line of quotes; what is absent is None."""
    bid = quote.bid if quote is not None else None
    ask = quote.ask if quote is not None else None
    return {
        "ticker": str(instrument.ticker),
        "bid_size": format_amount(bid.size) if bid else None,
        "bid": format_amount(bid.price) if bid else None,
        "ask": format_amount(ask.price) if ask else None,
        "ask_size": format_amount(ask.size) if ask else None,
        "last": format_amount(last.price) if last else None,
        "market_time": format_timestamp(quote.source_time) if quote else None,
        "stale": "stale" if is_stale else None,
    }


@click.command()
@click.argument("ticker")
@click.option("--last", "limit", type=Whole(1, 65_536), default=20, show_default=True, help="How many at most.")
@click.option(
    "--from",
    "start",
    help="From this market time on: 2013-10-08T09:30, local to the listing venue, or 2013-10-08T13:30:00Z.",
)
@click.option("--to", "end", help="Until before this market time.")
@feed_session_option
@click.option("--follow", is_flag=True, help="Go on with each print until Ctrl-C.")
@logged_in
async def trades(
    spire: Spire,
    output: Output,
    ticker: str,
    limit: int,
    start: str | None,
    end: str | None,
    feed_session: int | None,
    follow: bool,
) -> None:
    """Show the latest prints of TICKER, oldest first.

    For example: spire trades BAC.XNYS --from 2013-10-08T09:30 --to 2013-10-08T09:31
    """
    definitions = await spire.definitions_ready()
    instrument = find_instrument(definitions, ticker)
    zone = definitions.venues.by_mic(instrument.listing_venue).time_zone
    first, last = time_range(start, end, zone)
    query = Query(
        topic=topic_of(RecordType.TRADE, instrument.instrument_id),
        start_time=first,
        end_time=last,
        limit=limit,
        feed_session=feed_session,
        policy=Interruption.BREAK,
    )
    await spire.ready(spire.deployment.market_data_service)
    found = await answered(spire, output, MARKET_DATA, partial(spire.market_data.load, query))
    rows = (trade_row(definitions, trade_of(record)) for record in found.records)
    output.table(TRADE_COLUMNS, rows, empty=f"No prints of {instrument.ticker} in that time.")
    if not follow:
        return

    def write(record: Any) -> None:
        row = trade_row(definitions, trade_of(record))
        time = f"{short_time(row['market_time']):<23}"
        output.line(row, f"{row['sequence']:>8}  {time}  {row['price']:>10}  {row['size']:>9}  {row['venue']}")

    printer: Printer[Records] = Printer(write)
    spire.market_data.subscribe(
        RecordType.TRADE, instrument.instrument_id, printer, after=found.through, epoch=found.epoch
    )
    await follow_to_end(output, spire.market_data.session, [printer])


def trade_row(definitions: DefinitionsClient, trade: Trade) -> dict[str, Any]:
    """Return one line of time and sales."""
    return {
        "sequence": str(trade.sequence),
        "market_time": format_timestamp(trade.source_time),
        "price": format_amount(trade.price),
        "size": format_amount(trade.size),
        "venue": definitions.venues.by_number(trade.venue).mic,
        "conditions": f"{trade.conditions:x}",
    }


@click.command()
@click.argument("ticker")
@click.option(
    "--interval", type=INTERVAL, default="1m", show_default=True, help="How long a candle is: 30s, 1m, 4h, 1d ..."
)
@click.option(
    "--from", "start", help="From this market time on: 2013-10-08, local to the listing venue, or 2013-10-08T13:30:00Z."
)
@click.option("--to", "end", help="Until before this market time.")
@click.option("--last", "limit", type=Whole(1, 1_000_000), help="The latest so many only.")
@click.option(
    "--eligibility",
    type=click.Choice(list(Eligibility.__members__), case_sensitive=False),
    default="ALL",
    show_default=True,
    help="Which prints count: all, or by the rules of the consolidated tape.",
)
@feed_session_option
@click.option("--csv", "as_csv", is_flag=True, help="Write comma-separated values.")
@logged_in
async def chart(
    spire: Spire,
    output: Output,
    ticker: str,
    interval: int,
    start: str | None,
    end: str | None,
    limit: int | None,
    eligibility: str,
    feed_session: int | None,
    as_csv: bool,
) -> None:
    """Show candles of TICKER, oldest first.

    For example: spire chart BAC.XNYS --interval 5m --from 2013-10-08 --to 2013-10-09

    An interval without a print has no candle. Every candle is whole, also where --from or --to lies within it.
    """
    if as_csv and output.as_json:
        raise Invalid("--csv and --json exclude each other.")
    definitions = await spire.definitions_ready()
    instrument = find_instrument(definitions, ticker)
    zone = definitions.venues.by_mic(instrument.listing_venue).time_zone
    topic = CandleTopic(
        instrument_id=instrument.instrument_id, interval=interval, eligibility=Eligibility[eligibility.upper()]
    )
    first, last = time_range(start, end, zone)
    await spire.ready("charting_service")
    load = partial(spire.charting.candles, topic, first, last)
    found = await answered(
        spire, output, MARKET_DATA, partial(load, limit=limit, feed_session=feed_session, policy=Interruption.BREAK)
    )
    rows = (candle_row(candle) for candle in found.records)
    if not as_csv:
        output.table(CANDLE_COLUMNS, rows, empty=f"No prints of {instrument.ticker} in that time.")
        return
    output.write(csv_line([column.key for column in CANDLE_COLUMNS]))
    for row in rows:
        output.write(csv_line([row[column.key] for column in CANDLE_COLUMNS]))


def csv_line(values: Sequence[str | None]) -> str:
    """Return values as a line of comma-separated values, without its end."""
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


def candle_row(candle: Any) -> dict[str, Any]:
    """Return one line of a chart."""
    has_price = bool(int(candle["present"]) & PRICED)
    vwap = candle_vwap(candle)
    row: dict[str, Any] = {"start": format_timestamp(Timestamp(int(candle["start"])))}
    for name in ("open", "high", "low", "close"):
        row[name] = format_amount(int(candle[name])) if has_price else None
    row["volume"] = format_amount(int(candle["volume"]))
    row["count"] = str(int(candle["count"]))
    row["vwap"] = None if vwap is None else format_amount(vwap)
    row["notional"] = str(candle_notional(candle))
    return row
