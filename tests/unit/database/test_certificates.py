"""Certificates of the ring: made by the stack's authority, for one name and address each."""

import datetime
import io
import ipaddress
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from scripts.certificates.__main__ import main
from scripts.certificates.authority import CertificateError, Pair, make_authority, make_host


@pytest.fixture(scope="module")
def authority():
    return make_authority("evenkeel-dev")


def certificate_of(pair):
    return x509.load_pem_x509_certificate(pair.certificate.encode())


def test_a_host_s_certificate_is_signed_by_the_authority(authority):
    certificate_of(make_host("db-a", "10.77.0.31", authority)).verify_directly_issued_by(certificate_of(authority))


def test_another_authority_did_not_sign_it(authority):
    with pytest.raises(ValueError, match="Issuer"):
        certificate_of(make_host("db-a", "10.77.0.31", authority)).verify_directly_issued_by(
            certificate_of(make_authority("evenkeel-other"))
        )


def test_it_speaks_for_the_name_and_the_address_as_server_and_client(authority):
    found = certificate_of(make_host("db-a", "10.77.0.31", authority)).extensions
    names = found.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("10.77.0.31")]
    assert names.get_values_for_type(x509.DNSName) == ["db-a"]
    assert len(found.get_extension_for_class(x509.ExtendedKeyUsage).value) == 2
    assert found.get_extension_for_class(x509.BasicConstraints).value.ca is False


def test_the_key_is_what_cassandra_reads_and_fits_the_certificate(authority):
    pair = make_host("db-a", "10.77.0.31", authority)
    assert pair.private.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert pair.private.endswith("-----END PRIVATE KEY-----\n")
    key = load_pem_private_key(pair.private.encode(), None)
    assert key.public_key() == certificate_of(pair).public_key()


def test_it_holds_from_yesterday_for_hosts_whose_clock_is_late(authority):
    found = certificate_of(authority)
    now = datetime.datetime.now(datetime.UTC)
    assert found.not_valid_before_utc < now - datetime.timedelta(hours=12)
    assert found.not_valid_after_utc > now + datetime.timedelta(days=3_000)


def test_a_key_is_not_shown(authority):
    assert "PRIVATE" not in repr(authority)


def test_a_bad_address_is_named(authority):
    with pytest.raises(CertificateError, match="'nowhere' of db-a is not an IP address"):
        make_host("db-a", "nowhere", authority)


def test_a_key_of_another_authority_is_refused(authority):
    other = make_authority("evenkeel-other")
    with pytest.raises(CertificateError, match="does not belong"):
        make_host("db-a", "10.77.0.31", Pair(other.private, authority.certificate))


def test_the_command_makes_both(monkeypatch, capsys):
    main(["authority", "evenkeel-dev"])
    made = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO(made))
    main(["host", "db-a", "10.77.0.31"])
    pair = Pair(**json.loads(capsys.readouterr().out))
    certificate_of(pair).verify_directly_issued_by(certificate_of(Pair(**json.loads(made))))


@pytest.mark.parametrize(
    ("arguments", "given", "words"),
    [
        ([], "", "use `python -m scripts.certificates"),
        (["host", "db-a", "10.77.0.31"], "no JSON", "standard input must be JSON"),
        (["host", "db-a", "10.77.0.31"], '{"private": "x", "certificate": "y"}', "not readable PEM"),
    ],
)
def test_bad_input_is_one_sentence(monkeypatch, arguments, given, words):
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    with pytest.raises(SystemExit, match=words):
        main(arguments)
