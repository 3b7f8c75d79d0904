"""What was typed about strangers: the secret, the certificates, or the word that there are to be none."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from . import tls
from .arguments import BadArguments
from .transport import Access

_SECRET_BYTES_MIN: Final = 16


def add_access_arguments(parser: argparse.ArgumentParser) -> None:
    """What every command that speaks with nodes understands."""
    parser.add_argument("--cluster", help="id of the cluster; default: a digest of members and addresses, or any")
    parser.add_argument("--secret-file", type=Path, metavar="FILE", help="what all nodes and clients know")
    parser.add_argument("--tls-cert", type=Path, metavar="PEM", help="certificate; a node's bears its name")
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="the key of that certificate")
    parser.add_argument("--tls-ca", type=Path, metavar="PEM", help="who may issue certificates")


def access_of(parsed: argparse.Namespace) -> Access:
    """What was typed of that. Raises BadArguments."""
    return load_access(parsed.secret_file, parsed.tls_cert, parsed.tls_key, parsed.tls_ca)


def load_access(secret: Path | None, certificate: Path | None, key: Path | None, authority: Path | None) -> Access:
    """Read the files. Raises BadArguments."""
    given = [certificate, key, authority]
    if any(given) and not all(given):
        raise BadArguments("--tls-cert, --tls-key, --tls-ca: expected all three or none")
    of_tls = tls.load(certificate, key, authority) if certificate and key and authority else None
    return Access(secret=read_secret("--secret-file", secret) if secret is not None else None, tls=of_tls)


def read_secret(flag: str, path: Path) -> bytes:
    """What stands in a file that was typed after `flag`. Raises BadArguments."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise BadArguments(f"{flag} is {str(path)!r}: {error.strerror}; expected a file") from None
    if len(secret) < _SECRET_BYTES_MIN:
        raise BadArguments(
            f"{flag} has a secret of {len(secret)} bytes; expected at least {_SECRET_BYTES_MIN}, "
            "from `openssl rand -hex 32`, say"
        )
    return secret
