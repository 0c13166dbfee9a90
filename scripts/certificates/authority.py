"""Keys and certificates: elliptic curve P-256, PEM text, X.509 version 3."""

import datetime
import ipaddress
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=3650)
CLOCK_SKEW = datetime.timedelta(days=1)


class CertificateError(Exception):
    """The input cannot be used; the message is one sentence for a person."""


@dataclass(frozen=True)
class Pair:
    """A private key (PKCS#8 PEM, unencrypted) and the certificate (PEM) that speaks for it."""

    private: str = field(repr=False)
    certificate: str


def make_authority(name: str) -> Pair:
    """Return a new self-signed authority that may sign hosts' certificates and nothing below them."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _certificate(subject, subject, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    return _pair(key, builder.sign(key, hashes.SHA256()))


def make_host(name: str, address: str, authority: Pair) -> Pair:
    """Return a new key and certificate for the host `name` at the IP address `address`, as server and as client."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError as error:
        raise CertificateError(f"the address {address!r} of {name} is not an IP address") from error
    signer, issuer = _load(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip)])
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = _certificate(subject, issuer.subject, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(purposes, critical=False)
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(signed_by, critical=False)
    return _pair(key, builder.sign(signer, hashes.SHA256()))


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    """Return the part that every certificate shares; valid from yesterday, for hosts whose clock is late."""
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - CLOCK_SKEW).not_valid_after(now + LIFETIME)


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _load(authority: Pair) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    try:
        key = load_pem_private_key(authority.private.encode(), password=None)
        certificate = x509.load_pem_x509_certificate(authority.certificate.encode())
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise CertificateError("the authority's key or certificate is not readable PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CertificateError("the authority's key does not belong to its certificate")
    return key, certificate


def _pair(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> Pair:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(private.decode(), certificate.public_bytes(Encoding.PEM).decode())
