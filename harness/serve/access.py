"""Who may ask: on loopback whoever reaches it, elsewhere who has the token.

On loopback the danger is a web page that a person has open: it may let the browser ask for addresses on this machine
under a name of its own (DNS rebinding). So a request must name the host that was listened on. Elsewhere every request
needs the token, as `Authorization: Bearer`, or once in the address, after which a cookie holds it. Only GET and HEAD
are answered.
"""

from __future__ import annotations

import hmac
from typing import Any, Final

from starlette.datastructures import URL, Headers, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse

COOKIE: Final = "foreshock-token"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})

SECURITY_HEADERS: Final[dict[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Access:
    """Lets requests through to an application, or refuses them. Without a token, only those that name this machine."""

    def __init__(self, app: Any, token: str | None, methods: tuple[str, ...] = ("GET", "HEAD")) -> None:
        self._app, self._token, self._methods = app, token, methods

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await (self._refusal(scope) or self._app)(scope, receive, self._hardened(send))

    def _refusal(self, scope: Any) -> Any:
        headers = Headers(scope=scope)
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return PlainTextResponse("another site asks\n", 403)
        if scope["method"] not in self._methods:
            return PlainTextResponse("only GET and HEAD\n", 405, {"Allow": ", ".join(self._methods)})
        if self._token is None:
            host = headers.get("host", "").rpartition(":")
            name = host[0] if host[1] and host[2].isdecimal() else "".join(host)
            return None if name in _LOOPBACK else PlainTextResponse("not a name of this server\n", 421)
        offered = [
            headers.get("authorization", "").removeprefix("Bearer "),
            cookie_parser(headers.get("cookie", "")).get(COOKIE, ""),
        ]
        if any(self._fits(one) for one in offered):
            return None
        query = QueryParams(scope["query_string"])
        if self._fits(query.get("token", "")):
            target = URL(scope=scope).remove_query_params("token")
            path = target.path + (f"?{target.query}" if target.query else "")
            answer = RedirectResponse("/" + path.lstrip("/"), 303)
            answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
            return answer
        return PlainTextResponse("a token is needed: open the address that `foreshock serve` printed\n", 401)

    def _fits(self, offered: str) -> bool:
        return self._token is not None and hmac.compare_digest(offered.encode(), self._token.encode())

    def _hardened(self, send: Any) -> Any:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                for name, value in SECURITY_HEADERS.items():
                    if name.lower().encode() not in names:
                        message["headers"].append((name.lower().encode(), value.encode()))
            await send(message)

        return send_with_headers
