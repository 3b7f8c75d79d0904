"""Rules of nft in a network namespace, by its library: a call takes a millisecond, a program a hundred under load.

A context of libnftables speaks with the kernel over a socket that it opens when it is made, and a socket belongs to the
namespace in which it was opened. So this thread is in the other namespace only while a context is made.

Reference: libnftables(3), setns(2).
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Final

from harness.errors import BadInput

_LIBRARY: Final = "libnftables.so.1"
_CLONE_NEWNET: Final = 0x4000_0000
_WHERE: Final = "--network namespaces"


class Nft:
    """Rules in the network namespace of a process. Raises BadInput where there is no nft, or it is not permitted."""

    def __init__(self, pid: int) -> None:
        self._library = _library()
        libc = ctypes.CDLL(None, use_errno=True)
        own, other = (os.open(f"/proc/{process}/ns/net", os.O_RDONLY) for process in ("self", pid))
        try:
            if libc.setns(other, _CLONE_NEWNET):
                why = os.strerror(ctypes.get_errno())
                raise BadInput(f"a namespace that cannot be entered ({why})", "root", _WHERE)
            try:
                self._context = self._library.nft_ctx_new(0)
            finally:
                if libc.setns(own, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "cannot go back to our own network namespace")
        finally:
            os.close(own)
            os.close(other)
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, text: str) -> str:
        """Carry out commands, and return what they print. Raises BadInput with what nft says."""
        if self._library.nft_run_cmd_from_buffer(self._context, text.encode()):
            said = self._library.nft_ctx_get_error_buffer(self._context).decode().splitlines() or ["nothing"]
            raise BadInput(f"rules that nft refuses ({said[0]})", "a kernel that has nf_tables", _WHERE)
        printed: str = self._library.nft_ctx_get_output_buffer(self._context).decode()
        return printed

    def close(self) -> None:
        """Let go of it; the rules stay as long as the namespace does."""
        self._library.nft_ctx_free(self._context)


def _library() -> Any:
    try:
        found = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise BadInput(f"no library {_LIBRARY}", "an installed one (Debian: nftables)", _WHERE) from None
    found.nft_ctx_new.restype = ctypes.c_void_p
    found.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    for name in ("output", "error"):
        getattr(found, f"nft_ctx_buffer_{name}").argtypes = [ctypes.c_void_p]
        getattr(found, f"nft_ctx_get_{name}_buffer").argtypes = [ctypes.c_void_p]
        getattr(found, f"nft_ctx_get_{name}_buffer").restype = ctypes.c_char_p
    found.nft_ctx_free.argtypes = [ctypes.c_void_p]
    return found
