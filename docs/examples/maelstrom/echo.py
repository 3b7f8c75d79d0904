"""Echo, right: answers every request with what was asked."""

import json
import sys

node_id = ""
for line in sys.stdin:
    message = json.loads(line)
    body = message["body"]
    if body["type"] == "init":
        node_id = body["node_id"]
    reply = {"type": body["type"] + "_ok", "in_reply_to": body["msg_id"]}
    if body["type"] == "echo":
        reply["echo"] = body["echo"]
    print(json.dumps({"src": node_id, "dest": message["src"], "body": reply}), flush=True)
