"""What one connection may ask of a server, and how long it may be silent."""

from attrs import field, frozen
from attrs.validators import gt

HEARTBEAT_SECONDS = 5.0
SILENCE_SECONDS = 25.0
LARGEST_BOX = 128 * 1024


@frozen(kw_only=True)
class Limits:
    """Caps of one server. Sizes are bytes, times seconds.

    `unread_bytes` bounds what is written while the peer does not read: answers and pushes that nobody could hold back.
    A service account has `service_outstanding_calls` instead of `outstanding_calls`. `login_attempts` is the number of
    failed logins of one connection that ends it; after the `patient_attempts`-th each answer waits
    `attempt_delay_seconds` longer. An expired ticket is borne for `renewal_grace_seconds` at most while no Locator can
    renew it, and for `renewal_slack_seconds` after one can again.
    """

    largest_box: int = field(default=LARGEST_BOX, validator=gt(0))
    sessions: int = field(default=2_000, validator=gt(0))
    outstanding_calls: int = field(default=256, validator=gt(0))
    service_outstanding_calls: int = field(default=4_096, validator=gt(0))
    subscriptions: int = field(default=5_000, validator=gt(0))
    service_subscriptions: int = field(default=200_000, validator=gt(0))
    unread_bytes: int = field(default=4 * 1024 * 1024, validator=gt(0))
    login_seconds: float = field(default=10.0, validator=gt(0))
    heartbeat_seconds: float = field(default=HEARTBEAT_SECONDS, validator=gt(0))
    silence_seconds: float = field(default=SILENCE_SECONDS, validator=gt(0))
    closing_seconds: float = field(default=3.0, validator=gt(0))
    login_attempts: int = field(default=6, validator=gt(0))
    patient_attempts: int = field(default=3, validator=gt(0))
    attempt_delay_seconds: float = field(default=1.0, validator=gt(0))
    renewal_grace_seconds: float = field(default=3_600.0, validator=gt(0))
    renewal_slack_seconds: float = field(default=30.0, validator=gt(0))
