"""Hostile requests to a live node; the nightly form is `python -m tests.raft_impl.runtime.hostile --live`."""

from __future__ import annotations

from pathlib import Path

from raft_impl.runtime.driver_messages import Reply, Status
from tests.live.hostile import CORPUS, Corpus, attack_live


def test_a_live_node_outlives_hostile_requests_and_gives_every_answer_that_was_ever_seen() -> None:
    corpus = Corpus()
    assert len(list(corpus)) >= 8

    said = attack_live(3000, 1, corpus)

    assert said.startswith("3000 requests, ")
    assert not corpus.new, f"run the nightly form, which keeps them in {CORPUS.name}"


def test_the_corpus_keeps_the_shortest_request_of_each_answer(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "corpus" / "c.json")
    corpus.learn(Reply(1, Status.REFUSED, "malformed"), b"longer")
    corpus.learn(Reply(2, Status.REFUSED, "malformed"), b"short")
    corpus.learn(Reply(3, Status.REFUSED, "malformed"), b"longest")
    corpus.save()

    assert (list(Corpus(tmp_path / "corpus" / "c.json")), corpus.new) == ([b"short"], ["refused malformed"])
