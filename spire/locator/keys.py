"""The keys that sign tickets, and the proof by which a login session renews its ticket."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from spire.locator.values import Entry, LoginSession, SigningKey
from spire.service.secrets import read_secret
from spire.values.environment import Environment
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.boxes import length_prefix
from spire.wire.errors import Unavailable
from spire.wire.tickets import Claims, TicketKey, issue, load_key, make_key, private_bytes, public_bytes

TICKET_SECONDS = 300
"""How long a ticket is good for; its holder renews it at half of that."""

RETIREMENT_SECONDS = 2 * 3600
"""How long the former key is believed after another took over: longer than any session can last on its tickets."""

EVERY_SERVICE = "*"
PLATFORM_SERVICES = (
    "service_locator",
    "uid_service",
    "definitions_service",
    "administration_service",
    "market_data_service",
    "market_data_feed_service",
    "market_data_relay_service",
    "charting_service",
    "compliance_service",
    "order_execution_service",
    "risk_service",
    "web_portal",
)
"""What the audience `*` stands for, beside the services that are registered."""

_RENEWAL_PREFIX = b"spire renewal proof 1\0"


def key_id_of(public_key: bytes) -> str:
    """Return the id of a signing key: the beginning of its public half's SHA-256, in hexadecimal."""
    return hashlib.sha256(public_key).hexdigest()[:16]


class KeyRing:
    """Signs tickets with the key in force.

    `use` puts a key in force; services must know its public half by then. Without one nothing is signed.
    """

    def __init__(self, *, environment: Environment, ticket_seconds: int = TICKET_SECONDS) -> None:
        self._environment = environment
        self._ticket = ticket_seconds * NANOSECONDS
        self._key: TicketKey | None = None

    def use(self, key: Ed25519PrivateKey) -> None:
        """Sign with this key from now on."""
        self._key = TicketKey(key_id=key_id_of(public_bytes(key)), private=key)

    @property
    def key_id(self) -> str:
        """The id of the key in force."""
        return self._in_force().key_id

    def issue(
        self,
        session: LoginSession,
        *,
        account: Entry,
        delegate: Entry | None,
        roles: frozenset[str],
        capabilities: frozenset[str],
        services: tuple[str, ...] = (),
        now: Timestamp,
    ) -> tuple[str, Timestamp]:
        """Return a ticket for a login session and the time at which it expires.

        `services` are what the audience `*` stands for beside the platform's own.
        """
        audiences = session.audiences
        if EVERY_SERVICE in audiences:
            audiences = tuple(sorted({*PLATFORM_SERVICES, *services}))
        expires = Timestamp((now + self._ticket) // NANOSECONDS * NANOSECONDS)
        claims = Claims(
            account_id=account.entry_id,
            account=account.name,
            delegate_id=None if delegate is None else delegate.entry_id,
            delegate=None if delegate is None else delegate.name,
            audiences=audiences,
            environment=self._environment,
            roles=roles,
            capabilities=capabilities,
            login_session=session.login_session,
            key=session.public_key,
            issued=now,
            expires=expires,
        )
        return issue(claims, self._in_force()), expires

    def _in_force(self) -> TicketKey:
        if self._key is None:
            raise Unavailable("The Service Locator has not loaded its signing key yet; try again.")
        return self._key


def signing_key(key: Ed25519PrivateKey, created: Timestamp) -> SigningKey:
    """Return the public half of a key, as it is published."""
    public_key = public_bytes(key)
    return SigningKey(key_id=key_id_of(public_key), public_key=public_key, created=created)


class BelievedKeys(Mapping[str, bytes]):
    """The public keys in force, by id, over the live rows of the topic `signing_keys`."""

    def __init__(self, rows: Callable[[], Mapping[str, SigningKey]], now: Callable[[], Timestamp]) -> None:
        self._rows = rows
        self._now = now

    def __getitem__(self, key_id: str) -> bytes:
        key = self._rows()[key_id]
        if key.retires is not None and key.retires <= self._now():
            raise KeyError(key_id)
        return key.public_key

    def __iter__(self) -> Iterator[str]:
        return iter([key_id for key_id in self._rows() if key_id in self])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key_id: object) -> bool:
        return isinstance(key_id, str) and self.get(key_id) is not None


def renewal_message(*, service: str, instance_id: str, nonce: bytes, session: str) -> bytes:
    """Return what the holder of a login session signs to renew its ticket, once, on one connection to a Locator."""
    parts = (service.encode(), instance_id.encode(), nonce, session.encode())
    return _RENEWAL_PREFIX + b"".join(length_prefix(len(part)) + part for part in parts)


def renewal_holds(
    public_key: bytes, proof: bytes, *, service: str, instance_id: str, nonce: bytes, session: str
) -> bool:
    """Whether a renewal was signed with the private half of a login session's key."""
    message = renewal_message(service=service, instance_id=instance_id, nonce=nonce, session=session)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(proof, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def load_or_make(path: Path, random_bytes: Callable[[int], bytes]) -> Ed25519PrivateKey:
    """Return the signing key in a file of mode 600, making both where there is none.

    Raises ValueError when others can read the file or it holds no key.
    """
    if not path.exists():
        write_key(path, make_key(random_bytes))
    secret = read_secret(path)
    try:
        return load_key(bytes.fromhex(secret.text))
    except ValueError:
        raise ValueError(f"{path} holds no signing key: 64 hexadecimal digits are expected") from None


def write_key(path: Path, key: Ed25519PrivateKey) -> None:
    """Write a signing key to its file, whole or not at all, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(private_bytes(key).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
