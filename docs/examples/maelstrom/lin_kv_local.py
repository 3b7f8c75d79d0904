"""A key-value store, wrong: copies its writes to all other nodes, and reads and compares its local copy."""

import json
import sys

node_id = ""
others: list[str] = []
values: dict[int, int] = {}


def send(target: str, body: dict) -> None:
    print(json.dumps({"src": node_id, "dest": target, "body": body}), flush=True)


def write(key: int, value: int) -> None:
    values[key] = value
    for other in others:
        send(other, {"type": "copy", "key": key, "value": value})


def answer(body: dict) -> dict:
    key = body.get("key")
    match body["type"]:
        case "read" if key not in values:
            return {"type": "error", "code": 20, "text": "no such key"}
        case "read":
            return {"type": "read_ok", "value": values[key]}
        case "write":
            write(key, body["value"])
        case "cas" if key not in values:
            return {"type": "error", "code": 20, "text": "no such key"}
        case "cas" if values[key] != body["from"]:
            return {"type": "error", "code": 22, "text": f"it is {values[key]}"}
        case "cas":
            write(key, body["to"])
    return {"type": body["type"] + "_ok"}


for line in sys.stdin:
    message = json.loads(line)
    body = message["body"]
    if body["type"] == "copy":
        values[body["key"]] = body["value"]
        continue
    if body["type"] == "init":
        node_id = body["node_id"]
        others = [name for name in body["node_ids"] if name != node_id]
    send(message["src"], {**answer(body), "in_reply_to": body["msg_id"]})
