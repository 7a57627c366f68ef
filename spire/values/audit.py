"""What is recorded of a change, or of an attempt at one: who, what, when, from where, and what came of it (docs/service.md)."""

from typing import Final

from attrs import field, frozen
from attrs.validators import max_len

from spire.values.environment import Environment
from spire.values.orders import Channel
from spire.values.time import Timestamp

DONE: Final = "DONE"
"""The outcome of a change that was made; a refused one has the code of its refusal."""


@frozen(kw_only=True)
class Origin:
    """From where somebody acts: his session, its channel, his address and the version of his client."""

    session: str = field(validator=max_len(100))
    channel: Channel
    source: str = field(validator=max_len(255))
    client_version: str = field(default="", validator=max_len(128))


@frozen(kw_only=True)
class AuditEvent:
    """One event of an audit log; it is written in the transaction of the change that it records and never changed.

    `event_id` is random and unique everywhere. `actor` is the account that acted (None: an operator on the server's own
    host), `on_behalf_of` the one for whom; `session`, `channel`, `source` and `client_version` are that one's own where the
    server that acts for him tells them (`Origin`), else the actor's. `action` reads `<subject>.<verb>`, `entity` `<kind>:<id>` with the version
    that the change made. `before` and `after` are JSON, None where there was or is nothing. `outcome` is DONE, or the code
    of the refusal: then nothing was changed, `after` is what was asked for, and `text` says why not.
    """

    event_id: str
    time: Timestamp
    environment: Environment
    actor: int | None
    actor_name: str
    on_behalf_of: int | None = None
    session: str
    channel: Channel
    source: str
    client_version: str = ""
    action: str
    entity: str
    entity_version: int | None = None
    before: str | None = None
    after: str | None = None
    reason: str | None = None
    outcome: str = DONE
    text: str | None = None
    approval_id: str | None = None
    correlation_id: str = ""


@frozen(kw_only=True)
class AuditQuery:
    """A page of an audit log, newest first, at most `limit`: what stands before place `before` (None: from the newest).

    `actor` narrows it to what an account did itself or had done on its behalf, `entity` and `action` to exact matches, `since`
    and `until` to a range of time, both included.
    """

    before: int | None = None
    limit: int = 50
    actor: int | None = None
    entity: str | None = None
    action: str | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None
