"""TLS of a Trio program: while a run lasts, what OpenSSL draws for it is drawn by the plan.

Keys, nonces and signatures decide not only the bytes of a handshake but their number: an ECDSA signature is a DER
structure of 68 to 72 bytes, and a number in a session ticket takes as many bytes as it needs. So TLS with OpenSSL's own
chance would not be a function of the plan, though a trace holds lengths only. `RAND_set_rand_method(3)` replaces that
chance for the whole process; ours asks who runs, as the audit hook of `native.py` does, and passes on what the harness
itself asks for. It is found through the module `_ssl`, which is linked with the library that Python uses; a Python in
which that hides it is told so when a program begins with TLS.

OpenSSL reads the real clock: it judges certificates by the date of the machine, and writes the time into session
tickets, where it is encrypted and always as long. Of that nothing but the date of expiry is seen.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import ssl
from collections.abc import Iterator
from typing import Any, Final

from .incarnation import CURRENT

_BYTES: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_ubyte), ctypes.c_int)
_STATUS: Final = ctypes.CFUNCTYPE(ctypes.c_int)


class _Method(ctypes.Structure):
    """`RAND_METHOD` of <openssl/rand.h>. What is NULL is not called, or does nothing."""

    _fields_ = (
        ("seed", ctypes.c_void_p),
        ("bytes", _BYTES),
        ("cleanup", ctypes.c_void_p),
        ("add", ctypes.c_void_p),
        ("pseudorand", _BYTES),
        ("status", _STATUS),
    )


@contextlib.contextmanager
def drawn() -> Iterator[bool]:
    """While this lasts, OpenSSL draws for incarnations what the plan draws. Gives whether that is so."""
    library = _library()
    if library is None:
        yield False
        return
    before = library.RAND_get_rand_method()
    method = _method()
    if not library.RAND_set_rand_method(ctypes.byref(method)):
        yield False
        return
    try:
        yield True
    finally:
        library.RAND_set_rand_method(before)


@functools.cache
def _library() -> Any:
    """The library that Python's `ssl` draws from, or None where its functions cannot be reached."""
    import _ssl

    try:
        library = ctypes.CDLL(getattr(_ssl, "__file__", None))
        for name, result in (("RAND_get_rand_method", ctypes.c_void_p), ("RAND_OpenSSL", ctypes.POINTER(_Method))):
            getattr(library, name).restype = result
        library.RAND_set_rand_method.argtypes = (ctypes.c_void_p,)
    except (OSError, AttributeError):
        return None
    return library if ssl.OPENSSL_VERSION.startswith("OpenSSL ") else None


@functools.cache
def _method() -> _Method:
    """Our method; OpenSSL keeps its address, so it lives as long as the process."""
    own = _library().RAND_OpenSSL().contents

    def draw(buffer: Any, size: int) -> int:
        incarnation = CURRENT.get()
        if incarnation is None:
            return int(own.bytes(buffer, size))
        ctypes.memmove(buffer, incarnation.entropy(size), size)
        return 1

    return _Method(bytes=_BYTES(draw), pseudorand=_BYTES(draw), status=_STATUS(lambda: 1))
