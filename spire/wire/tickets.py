"""Tickets: who somebody is, signed by the Locator, worth nothing without the key that they name.

A ticket is a JWT, EdDSA pinned. Beside the registered claims it carries `act` (who acts for the account), `cnf` (the
public key, RFC 7800), environment, roles, capabilities and the login session. To log in to a service its holder signs
the service's name, instance and the nonce of its hello: the proof is of use once, there, and nowhere else.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from os import urandom
from typing import Any

import jwt
from attrs import field, frozen
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.utils import base64url_decode, base64url_encode
from zope.interface import implementer

from spire.runtime.clock import Clock
from spire.values.environment import Environment
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.boxes import length_prefix
from spire.wire.errors import NotAuthenticated
from spire.wire.identity import Identity
from spire.wire.interfaces import ITicketVerifier

ISSUER = "spire"
ALGORITHM = "EdDSA"
KEY_BYTES = 32
# How far ahead of ours the Locator's clock may be.
SKEW_SECONDS = 60
_PROOF_PREFIX = b"spire login proof 1\0"


@frozen(kw_only=True)
class Claims:
    """What a ticket says. `key` is the holder's Ed25519 public key, 32 raw bytes; times are cut to whole seconds."""

    account_id: int
    account: str
    delegate_id: int | None = None
    delegate: str | None = None
    audiences: tuple[str, ...]
    environment: Environment
    roles: frozenset[str] = frozenset()
    capabilities: frozenset[str] = frozenset()
    login_session: str
    key: bytes = field(repr=False)
    issued: Timestamp
    expires: Timestamp

    def identity(self) -> Identity:
        """Return who a session is that presents this ticket."""
        return Identity(
            account_id=self.account_id,
            account=self.account,
            delegate_id=self.delegate_id,
            delegate=self.delegate,
            roles=self.roles,
            capabilities=self.capabilities,
            login_session=self.login_session,
            expires=self.expires,
        )


@frozen(kw_only=True)
class TicketKey:
    """A key of the Locator that signs tickets; services know its public half under `key_id`."""

    key_id: str
    private: Ed25519PrivateKey = field(repr=False)


@frozen(kw_only=True)
class HeldTicket:
    """A ticket in the hands of its holder, with the private key that it names."""

    ticket: str = field(repr=False)
    key: Ed25519PrivateKey = field(repr=False)
    issued: Timestamp
    expires: Timestamp


def make_key(random_bytes: Callable[[int], bytes] = urandom) -> Ed25519PrivateKey:
    """Return a new Ed25519 key."""
    return Ed25519PrivateKey.from_private_bytes(random_bytes(KEY_BYTES))


def private_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return the 32 secret bytes of a key, for a file that only its owner reads."""
    return key.private_bytes_raw()


def load_key(secret: bytes) -> Ed25519PrivateKey:
    """Return the key of 32 secret bytes; raises ValueError for any other number."""
    return Ed25519PrivateKey.from_private_bytes(secret)


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return the 32 public bytes of a key."""
    return key.public_key().public_bytes_raw()


def issue(claims: Claims, signing_key: TicketKey) -> str:
    """Return the signed ticket."""
    payload: dict[str, Any] = {
        "iss": ISSUER,
        "sub": claims.account,
        "account_id": claims.account_id,
        "aud": list(claims.audiences),
        "env": claims.environment.name,
        "roles": sorted(claims.roles),
        "caps": sorted(claims.capabilities),
        "sid": claims.login_session,
        "cnf": {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": base64url_encode(claims.key).decode()}},
        "iat": claims.issued // NANOSECONDS,
        "exp": claims.expires // NANOSECONDS,
    }
    if claims.delegate is not None:
        payload["act"] = {"sub": claims.delegate, "account_id": claims.delegate_id}
    return jwt.encode(payload, signing_key.private, algorithm=ALGORITHM, headers={"kid": signing_key.key_id})


def verify(ticket: str, keys: Mapping[str, bytes], audience: str, environment: Environment, now: Timestamp) -> Claims:
    """Return what `ticket` says, having checked signature, audience, environment and times.

    `keys` are the Locator's raw public keys by id. Raises NotAuthenticated with a text that names what does not hold.
    """
    claims = read(ticket, keys)
    if audience not in claims.audiences:
        raise NotAuthenticated(f"The ticket is not for {audience}.")
    if claims.environment is not environment:
        raise NotAuthenticated(f"The ticket is for {claims.environment.name}; this is {environment.name}.")
    if claims.expires <= now:
        raise NotAuthenticated("The ticket has expired.")
    if claims.issued > now + SKEW_SECONDS * NANOSECONDS:
        raise NotAuthenticated("The ticket is from the future: compare the clocks of the two machines.")
    return claims


def read(ticket: str, keys: Mapping[str, bytes]) -> Claims:
    """Return what `ticket` says, having checked its signature alone: the Locator renews expired tickets too.

    Raises NotAuthenticated where it is no ticket of ours.
    """
    try:
        header = jwt.get_unverified_header(ticket)
        known = keys.get(str(header.get("kid")))
        if known is None:
            raise NotAuthenticated("The ticket is signed with a key that is not known here.")
        payload = jwt.decode(
            ticket,
            _public_key(known),
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            options=_OPTIONS,
        )
        return _claims(payload)
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
        raise NotAuthenticated("The ticket is not one that the Service Locator signed.") from error


# Times and audience are checked against the clock and the service that we are given.
_OPTIONS: Any = {
    "require": ["exp", "iat", "sub", "aud"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
}


def proof_message(service: str, instance_id: str, nonce: bytes) -> bytes:
    """Return what the holder of a ticket signs to log in to one instance of a service, once."""
    parts = [
        part for text in (service.encode(), instance_id.encode(), nonce) for part in (length_prefix(len(text)), text)
    ]
    return _PROOF_PREFIX + b"".join(parts)


def sign_proof(key: Ed25519PrivateKey, service: str, instance_id: str, nonce: bytes) -> bytes:
    """Return the proof that `key` is at hand."""
    return key.sign(proof_message(service, instance_id, nonce))


def check_proof(key: bytes, proof: bytes, service: str, instance_id: str, nonce: bytes) -> None:
    """Raise NotAuthenticated unless `proof` was signed with the private half of the raw public `key`."""
    try:
        _public_key(key).verify(proof, proof_message(service, instance_id, nonce))
    except (InvalidSignature, ValueError) as error:
        raise NotAuthenticated("The proof does not fit the ticket and this connection.") from error


@implementer(ITicketVerifier)
class TicketVerifier:
    """Checks tickets with what the Locator last published; asks nobody.

    `keys` are its raw public keys by id and may change in place; `is_revoked` says whether a ticket's login session or
    account has been withdrawn.
    """

    def __init__(
        self,
        keys: Mapping[str, bytes],
        is_revoked: Callable[[Claims], bool],
        environment: Environment,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._is_revoked = is_revoked
        self._environment = environment
        self._clock = clock

    def verify(self, ticket: str, proof: bytes, service: str, instance_id: str, nonce: bytes) -> Identity:
        """Return who the ticket names; raises NotAuthenticated where it, or the proof, does not hold."""
        claims = verify(ticket, self._keys, service, self._environment, self._clock.now())
        check_proof(claims.key, proof, service, instance_id, nonce)
        if self._is_revoked(claims):
            raise NotAuthenticated("The login that this ticket belongs to has been withdrawn.")
        return claims.identity()


@lru_cache(maxsize=4_096)
def _public_key(raw: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(raw)


def _claims(payload: dict[str, Any]) -> Claims:
    actor = payload.get("act")
    audiences = payload["aud"]
    return Claims(
        account_id=int(payload["account_id"]),
        account=str(payload["sub"]),
        delegate_id=None if actor is None else int(actor["account_id"]),
        delegate=None if actor is None else str(actor["sub"]),
        audiences=(audiences,) if isinstance(audiences, str) else tuple(audiences),
        environment=Environment[payload["env"]],
        roles=frozenset(payload["roles"]),
        capabilities=frozenset(payload["caps"]),
        login_session=str(payload["sid"]),
        key=base64url_decode(payload["cnf"]["jwk"]["x"]),
        issued=Timestamp(int(payload["iat"]) * NANOSECONDS),
        expires=Timestamp(int(payload["exp"]) * NANOSECONDS),
    )
