"""Mutual TLS: each end shows a certificate of the cluster's authority, and a node's must bear the name of the node.

A certificate of that authority with another name will do for a client. So who may only call cannot vote.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import msgspec
import trio

from .arguments import BadArguments
from .handshake import HandshakeRefused, Party


class Tls(msgspec.Struct, frozen=True):
    """The contexts of one process: one to dial with, one to accept with."""

    dialling: ssl.SSLContext
    accepting: ssl.SSLContext


def load(certificate: Path, key: Path, authority: Path) -> Tls:
    """Read the PEM files. Raises BadArguments when they are no such files, or do not belong together."""
    contexts = []
    for protocol in (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER):
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # a node is known by its name, which `check_name` looks at, not by its address
        context.verify_mode = ssl.CERT_REQUIRED
        for flag, path in (("--tls-cert", certificate), ("--tls-key", key), ("--tls-ca", authority)):
            if not path.is_file():
                raise BadArguments(f"{flag} is {str(path)!r}; expected a PEM file")
        try:
            context.load_cert_chain(certificate, key)
        except (ssl.SSLError, OSError) as error:
            raise BadArguments(f"--tls-cert, --tls-key: {error}; expected a certificate and its key") from None
        try:
            context.load_verify_locations(authority)
        except (ssl.SSLError, OSError) as error:
            raise BadArguments(f"--tls-ca: {error}; expected certificates of authorities") from None
        contexts.append(context)
    return Tls(*contexts)


def wrap(tls: Tls, stream: trio.SocketStream, *, dials: bool) -> trio.SSLStream[trio.SocketStream]:
    """TLS over a connection; the handshake of TLS comes with the first byte."""
    context = tls.dialling if dials else tls.accepting
    return trio.SSLStream(stream, context, server_side=not dials, https_compatible=True)


def check_name(stream: trio.SSLStream[trio.SocketStream], party: Party) -> None:
    """Raise HandshakeRefused for a node whose certificate bears another name."""
    if party.role == "node":
        names = _names(stream.getpeercert())
        if party.name not in names:
            sentence = f"the certificate of {party.name} bears the names {', '.join(names) or 'none'}"
            raise HandshakeRefused("wrong-certificate", sentence, peer=party.name)


def _names(certificate: Any) -> list[str]:
    return [str(value) for kind, value in (certificate or {}).get("subjectAltName", ()) if kind == "DNS"]
