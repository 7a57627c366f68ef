"""`spire replay`: a recorded day, sent by a feed account, with keys to pause, step and speed up."""

from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from spire.client.platform import Spire
from spire.feeds.lean import FeedFileError
from spire.feeds.replay import ReplayFeed, replay_terms
from spire.feeds.replay_source import load_day
from spire.operations.commands.output import Output
from spire.operations.commands.parameters import parse_moment
from spire.operations.commands.replay_keys import Display, Keys
from spire.operations.commands.shell import Shell, pass_shell
from spire.wire.errors import Invalid

KEYS = "space: pause, go on   s, m: one, 1,000 records   +, -: faster, slower   0: fastest   q: leave"
FEED_SERVICE = "market_data_feed_service"
ZONE = "America/New_York"


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="The trade date; needed where there are several."
)
@click.option("--symbol", "symbols", multiple=True, help="Only this symbol; may be repeated.")
@click.option(
    "--speed", type=click.FloatRange(min=0, min_open=True), help="Factor of market time; else as fast as possible."
)
@click.option("--until", help="Pause behind this market time (2013-10-08T09:30, New York); the session stays open.")
@click.option("--paused", is_flag=True, help="Begin paused.")
@click.option("--name", help="Name of the feed session; an unfinished one of that name goes on where it stopped.")
@click.option("--account", default="replay_feed", show_default=True, help="The feed's account.")
@click.option("--secret-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Its secret.")
@pass_shell
def replay(shell: Shell, /, secret_file: Path | None, account: str, **options: Any) -> None:
    """Replay the recorded day below PATH into Market Data.

    Keys while it runs, on a terminal: space pauses and goes on, s sends one record and m a thousand, + and - double and
    halve the speed, 0 sends as fast as possible, q leaves. An unfinished session goes on where it stopped.
    """
    deployment = shell.deployment
    found = secret_file or shell.home / "secrets" / account
    try:
        secret = found.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise click.ClickException(
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
        stop_at = None if until is None else parse_moment(until, ZONE)
    except (FeedFileError, ValueError) as error:
        raise Invalid(str(error)) from error
    session = await spire.ready(FEED_SERVICE)
    with Display(output, recorded.trade_date) as display:
        feed = ReplayFeed(
            session,
            recorded.timeline,
            replay_terms(recorded, spire.deployment.environment, name),
            clock=spire.clock,
            tasks=spire.tasks,
            speed=speed,
            is_paused=paused,
            until=stop_at,
            on_progress=display.show,
        )
        began = await feed.start()
        if output.errors.is_terminal:
            output.note(KEYS)
        if began:
            output.note(f"The session goes on after record {began:,}.")
        with Keys(reactor, feed, spire.tasks) as keys:
            feed.done.addBoth(keys.finished)
            await keys.done
        await feed.stop()
        if feed.done.called:
            await feed.done
    progress = feed.progress
    output.line(
        {
            "session": feed.terms.name,
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
