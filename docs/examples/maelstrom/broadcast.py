"""Broadcast, right: says everything it knows to its neighbours again and again, so that no loss is for good."""

import json
import sys
import threading
import time

GOSSIP_SECONDS = 0.1
lock = threading.Lock()
neighbours: list[str] = []
known: set[int] = set()


def send(source: str, target: str, body: dict) -> None:
    with lock:
        print(json.dumps({"src": source, "dest": target, "body": body}), flush=True)


def gossip(node_id: str) -> None:
    while True:
        time.sleep(GOSSIP_SECONDS)
        for neighbour in neighbours:
            send(node_id, neighbour, {"type": "gossip", "messages": sorted(known)})


node_id = ""
for line in sys.stdin:
    message = json.loads(line)
    body = message["body"]
    match body["type"]:
        case "gossip":
            known.update(body["messages"])
            continue
        case "init":
            node_id = body["node_id"]
            threading.Thread(target=gossip, args=(node_id,), daemon=True).start()
        case "topology":
            neighbours.extend(body["topology"][node_id])
        case "broadcast":
            known.add(body["message"])
    reply = {"type": body["type"] + "_ok", "in_reply_to": body["msg_id"]}
    if body["type"] == "read":
        reply["messages"] = sorted(known)
    send(node_id, message["src"], reply)
