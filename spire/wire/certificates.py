"""The private certificate authority and the certificates of servers, as PEM bytes."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from spire.values.time import NANOSECONDS, Timestamp

AUTHORITY_DAYS = 3_650
SERVER_DAYS = 825
# Certificates begin a little before they are made, for machines whose clock is behind.
_EARLY = timedelta(minutes=10)


@frozen(kw_only=True)
class Certificate:
    """A certificate and its private key in PEM; the key belongs into a file of mode 600."""

    certificate: bytes
    key: bytes = field(repr=False)


def host_of(service: str) -> str:
    """Return the name by which a certificate proves to be `service`, wherever it runs: hyphens, and `.spire`."""
    return service.replace("_", "-") + ".spire"


def make_authority(name: str, now: Timestamp, days: int = AUTHORITY_DAYS) -> Certificate:
    """Return a new certificate authority that signs servers, and nothing below them."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = (
        _begin(subject, subject, key.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pem(builder.sign(key, hashes.SHA256()), key)


def make_server_certificate(
    authority: Certificate, services: Iterable[str], hosts: Iterable[str], now: Timestamp, days: int = SERVER_DAYS
) -> Certificate:
    """Return a certificate, signed by `authority`, for the named services on the named hosts (names or addresses)."""
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = serialization.load_pem_private_key(authority.key, password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not one that this release makes")
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(host_of(service)) for service in services]
    common = names[0].value if names else "spire"
    names += [_host(host) for host in hosts]
    builder = (
        _begin(_name(str(common)), issuer.subject, key.public_key(), now, days)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    return _pem(builder.sign(issuer_key, hashes.SHA256()), key)


def names_in(certificate: bytes) -> frozenset[str]:
    """Return the DNS names that a PEM certificate is for; raises ValueError where it is none."""
    extensions = x509.load_pem_x509_certificate(certificate).extensions
    try:
        found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(found.get_values_for_type(x509.DNSName))


def expiry_of(certificate: bytes) -> datetime:
    """Return when a PEM certificate ends, in UTC; raises ValueError where it is none."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: Timestamp, days: int
) -> x509.CertificateBuilder:
    start = datetime.fromtimestamp(now // NANOSECONDS, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _EARLY)
        .not_valid_after(start + timedelta(days=days))
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Spire"), x509.NameAttribute(NameOID.COMMON_NAME, common[:64])]
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Certificate:
    return Certificate(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
