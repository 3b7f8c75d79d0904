"""What the HTTP side answers, without a cluster."""

from __future__ import annotations

import json
import types
from typing import Any

import pytest
import trio

from raft_impl.errors import RaftError, Refused, Unknown

http = pytest.importorskip("raft_impl.server.http")


def answer(method: str, path: str, query: str = "", error: RaftError | None = None) -> tuple[int, dict[str, Any]]:
    """Status and document of one request to a node without a leader, whose operations end with `error`."""

    class Cluster:
        async def call(self, *_: object) -> None:
            assert error is not None, "nothing is to be called"
            raise error

    said: list[dict[str, Any]] = []

    async def main() -> None:
        give, free = trio.open_memory_channel[Any](1)
        give.send_nowait(Cluster())
        server = types.SimpleNamespace(status=lambda group: types.SimpleNamespace(leader=None, node="n1"))
        app = http.Gateway(server, "g0", "map", {}, free, give.send_nowait).app()
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": []}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            said.append(message)

        await app({**scope, "root_path": "", "app": app}, receive, send)

    trio.run(main)
    return said[0]["status"], json.loads(said[1]["body"])


@pytest.mark.parametrize("word", ["not-leader", "no-client", "unreachable"])
def test_a_missing_quorum_has_a_word_of_its_own(word: str) -> None:
    status, said = answer("GET", "/get", "key=x", Refused(word))

    assert (status, said["error"], said["outcome"]) == (503, "no-quorum", "refused")
    assert said["reason"].startswith("no quorum: ")


def test_what_may_have_happened_is_not_told_as_refused() -> None:
    status, said = answer("GET", "/set", "key=x&value=1", Unknown("timeout"))

    assert (status, said["error"], said["outcome"]) == (503, "timeout", "unknown")


@pytest.mark.parametrize(("method", "path", "code"), [("GET", "/", 404), ("GET", "/transfer", 405)])
def test_a_mistaken_path_is_answered_with_those_there_are(method: str, path: str, code: int) -> None:
    status, said = answer(method, path)

    assert (status, said["error"]) == (code, "no-such-path")
    assert said["reason"].startswith(f"found {method} {path}; expected one of /set, /get, ")
    assert "/transfer (POST)" in said["reason"]
