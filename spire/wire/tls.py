"""TLS 1.3 under every connection: a client accepts only a server that proves, by its certificate, which service it is."""

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    wrapClientTLS,
    wrapServerTLS,
)
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    TLSVersion,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from zope.interface import implementer

from spire.wire.certificates import host_of, names_in
from spire.wire.interfaces import IConnector, IListener

CONNECT_SECONDS = 10


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `[v6]:port`; raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 0xFFFF:
        raise ValueError(f"{address!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


@implementer(IConnector)
class TlsConnector:
    """Connects with TLS and accepts only certificates of one private authority that name the service."""

    def __init__(self, authority_pem_path: str, reactor: Any = None) -> None:
        pem = Path(authority_pem_path).read_bytes()
        self._root = trustRootFromCertificates([Certificate.loadPEM(part) for part in _certificates(pem)])
        self._reactor = _the_reactor() if reactor is None else reactor
        self._options: dict[str, Any] = {}

    def endpoint(self, address: str, service: str) -> IStreamClientEndpoint:
        """Return an endpoint for `host:port`; connecting fails where the server does not prove to be `service`."""
        host, port = split_address(address)
        options = self._options.get(service)
        if options is None:
            options = self._options[service] = optionsForClientTLS(
                host_of(service),
                trustRoot=self._root,
                extraCertificateOptions={"raiseMinimumTo": TLSVersion.TLSv1_3},
            )
        reached = HostnameEndpoint(self._reactor, host.encode(), port, timeout=CONNECT_SECONDS)
        return wrapClientTLS(options, reached, clock=self._reactor)


@implementer(IListener)
class TlsListener:
    """Listens with one certificate, whose chain may follow it in the PEM, for the services that it names."""

    def __init__(self, certificate_pem: str | bytes, key_pem: str | bytes, reactor: Any = None) -> None:
        certificates = _certificates(_bytes(certificate_pem))
        first, *chain = (load_pem_x509_certificate(part) for part in certificates)
        self._names = names_in(certificates[0])
        # pyOpenSSL wants cryptography's objects and has deprecated its own, which Twisted's annotations still name.
        material: dict[str, Any] = {
            "privateKey": load_pem_private_key(_bytes(key_pem), password=None),
            "certificate": first,
            "extraCertChain": chain,
        }
        self._options = CertificateOptions(**material, raiseMinimumTo=TLSVersion.TLSv1_3)
        self._options.getContext()  # a key that does not fit fails here, not at the first handshake
        self._reactor = _the_reactor() if reactor is None else reactor

    def listen(self, address: str, service: str, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen on `host:port`; raises ValueError where the certificate does not name `service`."""
        if host_of(service) not in self._names:
            raise ValueError(f"the certificate is for {', '.join(sorted(self._names))}, not for {host_of(service)}")
        host, port = split_address(address)
        kind = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
        return wrapServerTLS(self._options, kind(self._reactor, port, interface=host), clock=self._reactor).listen(
            factory
        )


def _certificates(pem: bytes) -> list[bytes]:
    end = b"-----END CERTIFICATE-----"
    parts = [part + end + b"\n" for part in pem.split(end)[:-1]]
    if not parts:
        raise ValueError("there is no certificate in the PEM")
    return parts


def _bytes(pem: str | bytes) -> bytes:
    return pem.encode() if isinstance(pem, str) else pem


def _the_reactor() -> Any:
    from twisted.internet import reactor

    return reactor
