"""Check a history of your own: two clients, one register, and a read that comes too late."""

from checkers import History, Op, check

# (process, invoke or completion, function, value), in the order in which they happened.
events = [
    (0, "invoke", "write", 1),
    (0, "ok", "write", 1),
    (1, "invoke", "read", None),
    (0, "invoke", "write", 2),
    (0, "ok", "write", 2),
    (1, "ok", "read", 1),  # fine: this read began before the second write
    (1, "invoke", "read", None),
    (1, "ok", "read", 1),  # stale: the second write had been acknowledged
]
history = History(
    [
        Op(index=index, time=index, process=process, type=kind, f=function, key="x", value=value)
        for index, (process, kind, function, value) in enumerate(events)
    ]
)

verdict = check(history, "register")
print(verdict.validity)
for anomaly in verdict.anomalies:
    print(anomaly.message)
