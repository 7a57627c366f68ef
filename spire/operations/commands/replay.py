"""`spire replay`: a recorded day, sent by a feed account, with keys to pause, step and speed up."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from spire.client.platform import Spire
from spire.feeds.lean import FeedFileError
from spire.feeds.replay import Progress, ReplayFeed, replay_terms
from spire.feeds.replay_source import load_day, parse_moment
from spire.operations.commands.output import Output
from spire.operations.commands.replay_keys import Display, Keys
from spire.operations.commands.shell import Shell, pass_shell
from spire.wire.errors import Invalid

KEYS = "space: pause, go on   s, m: one, 1,000 records   +, -: faster, slower   0: fastest   q: leave"
FEED_SERVICE = "market_data_feed_service"


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="The trade date; needed where there are several."
)
@click.option("--symbol", "symbols", multiple=True, help="Only this symbol; may be repeated. [default: all]")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    help="Factor of market time, such as 60. [default: as fast as possible]",
)
@click.option("--until", help="Pause behind this market time (09:45, New York).")
@click.option("--paused", is_flag=True, help="Begin paused.")
@click.option("--name", help="Name of the feed session; an unfinished one of that name goes on where it stopped.")
@click.option("--account", default="replay_feed", show_default=True, help="The feed's account.")
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with its secret. [default: the instance's]",
)
@pass_shell
def replay(shell: Shell, /, secret_file: Path | None, account: str, **options: Any) -> None:
    """Replay the recorded day below PATH into Market Data.

    For example: spire replay us-equities-2013/tick --date 2013-10-08 --speed 60

    \b
    Keys while it runs, on a terminal:
      space  pause, go on          + -  twice, half the speed
      s m    send one, 1,000       0    as fast as possible
      q      leave

    An unfinished session goes on where it stopped, with the same command. Without a terminal a replay that pauses
    (--until) leaves.
    """  # noqa: D301 (click marks text to leave alone with a backspace)
    if options["paused"] and not sys.stdin.isatty():
        raise click.UsageError("--paused needs a terminal: without one no key can let the replay go on.")
    deployment = shell.deployment
    found = secret_file or shell.home / "secrets" / account
    try:
        secret = found.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise click.UsageError(
            f"The feed's secret cannot be read at {found} ({error.strerror}); name it with --secret-file."
        ) from error

    async def body(spire: Spire) -> None:
        await run_replay(spire, shell.output, **options)

    shell.run_as(lambda reactor: Spire.login(reactor, deployment, account, secret), body)


async def run_replay(
    spire: Spire,
    output: Output,
    *,
    path: Path,
    day: Any,
    symbols: tuple[str, ...],
    speed: float | None,
    until: str | None,
    paused: bool,
    name: str | None,
) -> None:
    """Replay one day to its end, or until a person leaves."""
    reactor: Any = spire.clock.reactor

    def in_thread(function: Any, /, *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(reactor, reactor.getThreadPool(), function, *arguments)

    definitions = await spire.definitions_ready()
    output.note(f"Reading {path} ...")
    try:
        recorded = await load_day(path, definitions, in_thread, trade_date=day.date() if day else None, symbols=symbols)
        stop_at = None if until is None else parse_moment(until, recorded.trade_date)
    except (FeedFileError, ValueError) as error:
        raise Invalid(str(error)) from error
    session = await spire.ready(FEED_SERVICE)
    watches: list[Callable[[Progress], None]] = []

    def progressed(progress: Progress) -> None:
        for watch in watches:
            watch(progress)

    with Display(output, recorded.trade_date) as display:
        watches.append(display.show)
        feed = ReplayFeed(
            session,
            recorded.timeline,
            replay_terms(recorded, spire.deployment.environment, name),
            clock=spire.clock,
            tasks=spire.tasks,
            speed=speed,
            is_paused=paused,
            until=stop_at,
            on_progress=progressed,
        )
        began = await feed.start()
        if output.errors.is_terminal:
            output.note(KEYS)
        if began:
            output.note(f"Feed session {feed.feed_session} goes on after record {began:,}.")
        else:
            output.note(f"Feed session {feed.feed_session} begins.")
        with Keys(reactor, feed, spire.tasks) as keys:
            watches.append(keys.watch)
            feed.done.addBoth(keys.finished)
            await keys.done
        await feed.stop()
        if feed.done.called:
            await feed.done
    progress = feed.progress
    output.line(
        {
            "session": feed.terms.name,
            "feed_session": str(feed.feed_session),
            "records": str(progress.accepted),
            "total": str(progress.total),
            "ended": progress.is_ended,
        },
        f"{progress.accepted:,} of {progress.total:,} records accepted"
        + (
            "; the session has ended."
            if progress.is_ended
            else "; the session is unfinished: the same command goes on."
        ),
    )
