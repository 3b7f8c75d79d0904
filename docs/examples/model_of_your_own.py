"""A model of your own: a stack, as a name, an initial state and a step."""

from checkers import ILLEGAL, History, Model, Op, Operation, check


def step(state: tuple, operation: Operation):
    """The state after an operation, or ILLEGAL where the object would have answered otherwise."""
    if operation.f == "push":
        return (*state, operation.value)
    if operation.type == "info":  # a pop whose answer is not known
        return state[:-1]
    return state[:-1] if state and state[-1] == operation.result else ILLEGAL


STACK = Model(name="stack", init=(), step=step)


def history(*popped: str) -> History:
    """Push a, push b, then pop what is given, one after the other."""
    calls = [("push", "a", "a"), ("push", "b", "b"), *(("pop", None, value) for value in popped)]
    ops = []
    for function, argument, result in calls:
        for kind, value in (("invoke", argument), ("ok", result)):
            ops.append(Op(index=len(ops), time=len(ops), process=0, type=kind, f=function, value=value))
    return History(ops)


print("pop b, pop a:", check(history("b", "a"), STACK).validity)
print("pop a, pop b:", check(history("a", "b"), STACK).validity)
