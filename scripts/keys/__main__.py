"""`python -m scripts.keys ssh | secret`: print a new key as one line of JSON."""

import base64
import json
import secrets
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def ssh_key() -> dict[str, str]:
    """Return a new ed25519 pair: "private" in OpenSSH's PEM format, "public" as in authorized_keys."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return {"private": private.decode(), "public": public.decode()}


def shared_secret() -> dict[str, str]:
    """Return 256 random bits twice: "base64" for TSIG, "password" in characters that need no quoting."""
    return {"base64": base64.b64encode(secrets.token_bytes(32)).decode(), "password": secrets.token_urlsafe(32)}


def main(arguments: list[str]) -> None:
    """Print what the one argument asks for."""
    makers = {"ssh": ssh_key, "secret": shared_secret}
    if len(arguments) != 1 or arguments[0] not in makers:
        sys.exit("scripts.keys: use `python -m scripts.keys ssh` or `python -m scripts.keys secret`")
    print(json.dumps(makers[arguments[0]]()))


if __name__ == "__main__":
    main(sys.argv[1:])
