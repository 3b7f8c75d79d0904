"""Broadcast, wrong: tells its neighbours once, and what a partition or a loss takes away is gone."""

import json
import sys

node_id = ""
neighbours: list[str] = []
known: set[int] = set()


def send(target: str, body: dict) -> None:
    print(json.dumps({"src": node_id, "dest": target, "body": body}), flush=True)


def learn(message: int, source: str) -> None:
    if message not in known:
        known.add(message)
        for neighbour in neighbours:
            if neighbour != source:
                send(neighbour, {"type": "tell", "message": message})


for line in sys.stdin:
    message = json.loads(line)
    body = message["body"]
    match body["type"]:
        case "tell":
            learn(body["message"], message["src"])
            continue
        case "init":
            node_id = body["node_id"]
        case "topology":
            neighbours = body["topology"][node_id]
        case "broadcast":
            learn(body["message"], message["src"])
    reply = {"type": body["type"] + "_ok", "in_reply_to": body["msg_id"]}
    if body["type"] == "read":
        reply["messages"] = sorted(known)
    send(message["src"], reply)
