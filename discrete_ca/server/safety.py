"""What stands before every request: who may ask, from where, and how much.

A page in the same browser must not reach a server on this machine by a trick: a name that was
rebound to 127.0.0.1 (the Host header tells), a form or a script of another site (the Origin and
Sec-Fetch-Site headers tell, and bodies are JSON). Off this machine a token is asked for, in a
header that only the page sends: there are no cookies.
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import JSONResponse

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _TooLarge(Exception):
    pass


def host_of(value: str) -> str:
    """The name in a Host header, without the port.

    Example:
        >>> host_of("localhost:8017"), host_of("[::1]:80"), host_of("evil.example")
        ('localhost', '::1', 'evil.example')
    """
    if value.startswith("["):
        return value[1:].partition("]")[0].lower()
    return value.partition(":")[0].lower()


class Guard:
    """An ASGI application that lets through to another what may pass.

    Args:
        app: the other.
        hosts: names under which the server may be asked; None for any, which takes a token.
        token: what ``Authorization: Bearer`` must say to reach ``/api``; None for nothing.
        most: bytes of a body.

    Raises:
        ValueError: for any host without a token.
    """

    def __init__(
        self, app: Any, hosts: frozenset[str] | None, token: str | None, most: int
    ) -> None:
        if hosts is None and not token:
            raise ValueError("hosts was None without a token; allowed: names, or a token")
        self._app, self._hosts, self._token, self._most = app, hosts, token, most

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {
            key.decode("latin-1").lower(): value.decode("latin-1")
            for key, value in scope["headers"]
        }
        refused = self._refused(scope, headers)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        if refused is not None:
            status, why = refused
            await JSONResponse({"error": why}, status)(scope, receive, send_safely)
            return
        seen, answered = 0, False

        async def receive_bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._most:
                raise _TooLarge
            return message

        async def send_unless_too_large(message: Message) -> None:
            nonlocal answered
            if seen <= self._most:
                await send_safely(message)
            elif not answered:  # whatever the application made of the error
                answered = True
                await self._too_large()(scope, receive, send_safely)

        with contextlib.suppress(_TooLarge):
            await self._app(scope, receive_bounded, send_unless_too_large)

    def _too_large(self) -> JSONResponse:
        return JSONResponse({"error": f"the body is too large; allowed: {self._most} bytes"}, 413)

    def _refused(self, scope: Message, headers: dict[str, str]) -> tuple[int, str] | None:
        """Status and reason, where the request may not pass."""
        host = headers.get("host", "")
        if self._hosts is not None and host_of(host) not in self._hosts:
            return 421, f"host was '{host:.80}'; allowed: {', '.join(sorted(self._hosts))}"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return 403, f"origin was '{origin:.80}'; allowed: the page of this server"
        if not scope["path"].startswith("/api/"):  # the page's own api.js is no secret
            return None
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "the request came from another site; allowed: the page of this server"
        given = headers.get("authorization", "").partition("Bearer ")[2]
        if self._token is not None and not hmac.compare_digest(
            given.encode("latin-1", "replace"), self._token.encode()
        ):
            return 401, "the token is missing or wrong; it is in the address that was printed"
        kind = headers.get("content-type", "application/json").partition(";")[0].strip()
        if scope["method"] in ("POST", "PATCH", "PUT") and kind.lower() != "application/json":
            return 415, f"content-type was '{kind:.60}'; allowed: application/json"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._most:
            return 413, f"content-length was {length:.20}; allowed: up to {self._most} bytes"
        return None
