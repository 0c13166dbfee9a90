"""Secrets are Pulumi's: what its CLI encrypted opens here, and nothing opens with another passphrase."""

from __future__ import annotations

import json

import pytest

from scripts.engine.errors import PassphraseError
from scripts.engine.passphrase import new_crypter, open_crypter
from scripts.engine.serde import from_json, to_json
from scripts.engine.values import UNKNOWN, ResourceRef, Secret

# Made by the Pulumi CLI from the passphrase "ref".
CLI_SALT = "v1:4Cii29IKhfA=:v1:f9g2EEQVh2T9wqX2:m+lhDxffWdfqdYjVUtjp/oHe2gmVCw=="
CLI_SECRET = "v1:gOvKYq2/+qU3Iz0d:iShVPGFXdJrir60SS1Hstjg4YbaAyw=="


def test_a_secret_the_cli_encrypted_opens_with_its_passphrase() -> None:
    assert open_crypter("ref", CLI_SALT).decrypt(CLI_SECRET) == "s3cr3t"


def test_a_wrong_passphrase_is_refused() -> None:
    with pytest.raises(PassphraseError, match="incorrect passphrase"):
        open_crypter("wrong", CLI_SALT)


def test_what_one_crypter_encrypts_another_with_its_salt_opens() -> None:
    crypter = new_crypter("a phrase")
    assert open_crypter("a phrase", crypter.salt).decrypt(crypter.encrypt("text ü")) == "text ü"


def test_a_damaged_ciphertext_is_refused() -> None:
    crypter = open_crypter("ref", CLI_SALT)
    with pytest.raises(PassphraseError):
        crypter.decrypt(CLI_SECRET[:-8] + "AAAAyw==")


def test_values_survive_the_checkpoint_and_secrets_are_not_readable_in_it() -> None:
    crypter = open_crypter("ref", CLI_SALT)
    value = {
        "a": Secret({"key": "hidden-text", "inner": Secret([1, None])}),
        "b": [1, 1.5, True, None],
        "c": UNKNOWN,
        "d": ResourceRef("urn:x", "id1", "1.0"),
    }
    raw = to_json(value, crypter.encrypt)
    assert "hidden-text" not in json.dumps(raw)
    assert from_json(raw, crypter.decrypt) == value


def test_the_same_secret_keeps_its_ciphertext() -> None:
    crypter = open_crypter("ref", CLI_SALT)
    crypter.decrypt(CLI_SECRET)
    assert crypter.encrypt("s3cr3t") == CLI_SECRET
