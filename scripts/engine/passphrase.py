"""Secrets by passphrase, as Pulumi's passphrase provider keeps them.

Key: PBKDF2-HMAC-SHA256 over the passphrase, 1,000,000 iterations, 8-byte salt. A ciphertext is `v1:NONCE:DATA`
(base64; AES-256-GCM, 12-byte nonce). A stack's `encryptionsalt` is `v1:SALT:` followed by the ciphertext of "pulumi",
which tells whether a passphrase is right.
"""

from __future__ import annotations

import base64
import functools
import getpass
import hashlib
import os
import sys
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from scripts.engine.errors import PassphraseError

ITERATIONS = 1_000_000
_CHECK = "pulumi"


@functools.lru_cache(maxsize=8)
def _derive(phrase: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", phrase.encode(), salt, ITERATIONS, 32)


class Crypter:
    """Encrypts and decrypts one stack's secrets; `salt` is its `encryptionsalt`."""

    def __init__(self, key: bytes, salt: str) -> None:
        self._cipher = AESGCM(key)
        self._known: dict[str, str] = {}
        self.salt = salt

    def encrypt(self, plaintext: str) -> str:
        """A ciphertext; the same text gets the same one again, so that states differ only where values do."""
        known = self._known.get(plaintext)
        if known is None:
            nonce = os.urandom(12)
            data = self._cipher.encrypt(nonce, plaintext.encode(), None)
            known = self._known[plaintext] = f"v1:{_b64(nonce)}:{_b64(data)}"
        return known

    def decrypt(self, ciphertext: str) -> str:
        """The text of a ciphertext; PassphraseError where the key does not fit."""
        parts = ciphertext.split(":")
        if len(parts) != 3 or parts[0] != "v1":
            raise PassphraseError("a secret in the stack's files is not in the form v1:NONCE:DATA; restore it")
        try:
            nonce, data = base64.b64decode(parts[1]), base64.b64decode(parts[2])
            plaintext = self._cipher.decrypt(nonce, data, None).decode()
        except (InvalidTag, ValueError) as error:
            raise PassphraseError(
                "failed to decrypt: incorrect passphrase, please set PULUMI_CONFIG_PASSPHRASE to the correct "
                "passphrase or set PULUMI_CONFIG_PASSPHRASE_FILE to a file containing the passphrase"
            ) from error
        self._known.setdefault(plaintext, ciphertext)
        return plaintext


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def new_crypter(phrase: str) -> Crypter:
    """A crypter with a fresh salt."""
    salt = os.urandom(8)
    key = _derive(phrase, salt)
    check = Crypter(key, "").encrypt(_CHECK)
    return Crypter(key, f"v1:{_b64(salt)}:{check}")


def open_crypter(phrase: str, salt: str) -> Crypter:
    """The crypter of an existing `encryptionsalt`; PassphraseError when the passphrase is wrong."""
    parts = salt.split(":", 2)
    if len(parts) != 3 or parts[0] != "v1":
        raise PassphraseError("the stack's encryptionsalt is not in the form v1:SALT:CHECK; restore it")
    crypter = Crypter(_derive(phrase, base64.b64decode(parts[1])), salt)
    try:
        right = crypter.decrypt(parts[2]) == _CHECK
    except PassphraseError:
        right = False
    if not right:
        raise PassphraseError("incorrect passphrase")
    return crypter


def read_passphrase() -> str:
    """The passphrase from the environment, its file, or the terminal."""
    phrase = os.environ.get("PULUMI_CONFIG_PASSPHRASE")
    if phrase is not None:
        return phrase
    file = os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if file:
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise PassphraseError(f"unable to read PULUMI_CONFIG_PASSPHRASE_FILE: {error}") from error
    if sys.stdin.isatty():
        return getpass.getpass("Enter your passphrase to unlock config/secrets\n")
    raise PassphraseError(
        "passphrase must be set with PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables"
    )
