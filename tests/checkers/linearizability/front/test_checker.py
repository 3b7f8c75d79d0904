"""Linearizability of whole histories: what is linearizable, what is not, and what is said about it."""

from __future__ import annotations

import pytest

from checkers import MODELS, History, MalformedHistory, Model, check
from checkers.models import ILLEGAL
from tests.checkers.mini import history

VALID = [
    ("register", "0:r 0'nil"),
    ("register", "0:w1 1:r 1'1 0'"),
    ("register", "0:w1 0' 1:w2 2:r 2'1 3:r 3'2 1'"),
    ("register", "0:w1 0? 1:r 1'nil 1:r 1'1"),
    ("cas-register", "0:w1 0' 0:c1,2 0' 1:c1,3 1! 1:r 1'2"),
    ("cas-register", "0:w1 0' 0:c1,2 0? 1:r 1'1 1:r 1'2"),
    ("cas-register", "0:w1 0' 1:c2,3 1~ 0:r 0'1"),
    ("counter", "0:+1 1:+-2 0' 2:r 2'-1 1'"),
    ("counter", "0:@2 1:@3 0'5 1'3"),
    ("counter", "0:r 0! 1:k4 1' 0:+1 0' 1:k9 1! 0:r 0'5"),
    ("map", "0:x.w1 0' 0:y.r 0'nil 0:n 0'1 0:x.z 0'1 0:n 0'0"),
    ("map", "0:x.p1 0' 1:x.p2 1! 1:x.m3 1'1 0:y.m1 0!"),
    ("set", "0:A1 1:A2 0' 2:q 2'[1] 1' 2:q 2'[2,1]"),
    ("queue", "0:e1 1:e2 0' 1' 0:d 0'2 1:d 1'1 0:d 0!"),
    ("list", "0:a1 0' 1:a2 2:q 2'[1,2] 1'"),
    ("mutex", "0:L 0' 1:L 1! 1:L 0:U 0' 1'"),
    ("owned-mutex", "0:L 0' 1:U 1! 0:U 0' 1:L 1'"),
]

INVALID = [
    ("register", "0:w1 0' 0:w2 0' 1:r 1'1", "read", 5),
    ("register", "0:w1 0' 1:r 1'nil", "read", 3),
    ("register", "0:w1 1:r 1'1 2:r 2'nil 0'", "read", 4),
    ("register", "0:r 0'7", "read", 1),
    ("register", "0:w5 1:r 1'5 0~", "write", 3),
    ("cas-register", "0:w1 0' 1:c1,2 2:c1,3 1' 2'", "cas", 5),
    ("cas-register", "0:w1 0' 1:c1,2 1!", "cas", 3),
    ("counter", "0:+1 0' 0:+1 0' 1:r 1'1", "read", 5),
    ("counter", "0:@1 0'1 1:@1 1'1", "add-and-get", 3),
    ("counter", "1:k4 1' 0:r 0!", "read", 3),
    ("map", "0:x.w1 0' 0:y.w1 0' 0:n 0'1", "size", 5),
    ("set", "0:A1 0' 1:q 1'[]", "read", 3),
    ("set", "0:A1 0' 1:q 1'[1,1]", "read", 3),
    ("queue", "0:e1 0' 0:e2 0' 1:d 1'2", "dequeue", 5),
    ("queue", "0:e1 0' 1:d 1!", "dequeue", 3),
    ("list", "0:a1 0' 1:a2 1' 2:q 2'[2,1]", "read", 5),
    ("mutex", "0:L 0' 1:L 1'", "acquire", 3),
    ("owned-mutex", "0:L 0' 1:U 1'", "release", 3),
]


@pytest.mark.parametrize(("model", "text"), VALID)
def test_what_one_copy_could_have_answered_is_valid(model: str, text: str) -> None:
    verdict = check(history(text), model)

    assert (verdict.validity, verdict.anomalies) == ("valid", ())


@pytest.mark.parametrize(("model", "text", "f", "index"), INVALID)
def test_what_no_order_explains_is_invalid_from_the_first_line_that_shows_it(
    model: str, text: str, f: str, index: int
) -> None:
    verdict = check(history(text), model)

    assert verdict.validity == "invalid"
    assert (f"linearizability/nonlinearizable/{model}/{f}", index) == (
        verdict.anomalies[0].signature,
        verdict.anomalies[0].index,
    )


def test_the_verdict_says_how_the_source_was_read_and_which_engine_decided_why() -> None:
    notes = check(history("0:x.w1 0' 0:x.w1 0' 0:y.w2 0'"), "register", nil_read="anything").notes

    assert notes == (
        "read as jsonl: a failed cas constrains where its error is an answer of the object; "
        "a read of null says nothing; the initial state is null",
        "of 2 objects wgl decided 1, registers decided 1",
        "passed over registers: a value is written twice (1 x)",
    )


def test_what_a_guess_cannot_place_is_for_the_general_engine() -> None:
    """The guess is for few clients: it places operations in the order of their calls, and cannot go back far."""

    def together(count: int) -> str:
        calls = " ".join(f"{n}:w{n % 3}" for n in range(1, count))
        return f"0:w7 {calls} {' '.join(f'{n}{chr(39)}' for n in range(count))} "

    for text, validity, engine in (
        (" ".join(f"0:w{n % 3} 0'" for n in range(20)), "valid", "wgl"),
        (together(6) + "9:r 9'2", "valid", "wgl"),
        (together(7) + "9:r 9'0", "valid", "jit"),
        (together(6) + "9:r 9'7", "valid", "jit"),
        (together(6) + "9:r 9'7 9:r 9'0", "invalid", "jit"),
    ):
        verdict = check(history(text), "register")
        assert (verdict.validity, verdict.engine) == (validity, engine), text


def test_objects_are_decided_one_by_one_and_each_violation_is_reported() -> None:
    verdict = check(history("0:x.w1 0' 0:y.w1 0' 0:x.r 0'2 0:y.r 0'3 0:z.r 0'nil"), "register")

    assert [anomaly.evidence["key"] for anomaly in verdict.anomalies] == ["x", "y"]
    assert verdict.details["objects"] == 3


@pytest.mark.parametrize(
    ("options", "validity"),
    [({}, "valid"), ({"failed_cas": "constraint"}, "invalid"), ({"failed_cas": "nothing"}, "valid")],
)
def test_a_failed_cas_constrains_as_the_convention_says(options: dict[str, str], validity: str) -> None:
    """By error: a refusal before anything happened says nothing about the state."""
    verdict = check(history("0:w1 0' 1:c1,2 1~"), "cas-register", **options)  # type: ignore[arg-type]

    assert validity == verdict.validity


@pytest.mark.parametrize(("nil_read", "validity"), [("absent", "invalid"), ("anything", "valid")])
def test_a_null_read_says_absent_or_nothing(nil_read: str, validity: str) -> None:
    verdict = check(history("0:w1 0' 1:r 1'nil"), "register", nil_read=nil_read)  # type: ignore[arg-type]

    assert validity == verdict.validity
    assert nil_read == verdict.details["conventions"]["nil_read"]


@pytest.mark.parametrize(
    ("model", "text", "initial"),
    [
        ("map", "0:x.r 0'1 0:y.r 0'2 0:z.r 0'nil", {"x": 1, "y": 2}),
        ("map", "0:x.r 0'1 0:n 0'2 0:y.z 0'2 0:n 0'1", {"x": 1, "y": 2}),
        ("set", "0:q 0'[2,1] 0:A3 0' 0:q 0'[1,2,3]", [1, 2]),
        ("queue", "0:d 0'1 0:d 0'2 0:d 0!", [1, 2]),
        ("counter", "0:@1 0'8", 7),
        ("mutex", "0:L 0! 0:U 0'", "held"),
    ],
)
@pytest.mark.parametrize("algorithm", ["auto", "jit", "wgl"])
def test_the_initial_state_can_be_given_as_json(model: str, text: str, initial: object, algorithm: str) -> None:
    """Objects that are split by key begin with their part of it."""
    assert check(history(text), model, initial=initial, algorithm=algorithm).validity == "valid"
    assert check(history(text), model, algorithm=algorithm).validity == "invalid"


def test_the_initial_state_can_be_given() -> None:
    assert check(history("0:r 0'5"), "register", initial=5).validity == "valid"


@pytest.mark.parametrize("limit", [{"step_limit": 50}, {"state_limit": 50}])
def test_a_limit_gives_unknown_with_its_reason_and_is_no_matter_of_the_machine(limit: dict[str, int]) -> None:
    writes = " ".join(f"{process}:w{process}" for process in range(12))
    returns = " ".join(f"{process}'" for process in range(12))

    verdict = check(history(f"{writes} {returns} 0:r 0'99"), "register", algorithm="wgl", **limit)  # type: ignore[arg-type]

    assert verdict.validity == "unknown"
    assert "limit of 50 reached" in verdict.reason
    assert not verdict.machine_dependent


def test_a_time_limit_marks_the_verdict_as_dependent_on_the_machine() -> None:
    writes = " ".join(f"{process}:w{process}" for process in range(12))
    returns = " ".join(f"{process}'" for process in range(12))

    verdict = check(history(f"{writes} {returns} 0:r 0'99"), "register", algorithm="wgl", time_limit_s=0.0)

    assert (verdict.validity, verdict.machine_dependent) == ("unknown", True)


def test_a_violation_of_one_object_outranks_a_limit_met_on_another() -> None:
    writes = " ".join(f"{process}:x.w{process}" for process in range(12))
    returns = " ".join(f"{process}'" for process in range(12))

    verdict = check(history(f"0:y.r 0'1 {writes} {returns} 0:x.r 0'99"), "register", algorithm="wgl", step_limit=100)

    assert verdict.validity == "invalid"


def test_a_crashed_engine_has_no_opinion() -> None:
    def step(state: int, operation: object) -> int:
        raise ZeroDivisionError("boom")

    verdict = check(history("0:w1 0'"), Model(name="broken", init=0, step=step))

    assert (verdict.validity, "ZeroDivisionError: boom" in verdict.reason) == ("unknown", True)


def test_a_model_of_ones_own_needs_a_name_a_state_and_a_step() -> None:
    def step(state: tuple[object, ...], operation: object) -> object:
        op: object = operation
        if op.f == "enqueue":  # type: ignore[attr-defined]
            return (*state, op.value)  # type: ignore[attr-defined]
        if op.type == "info":  # type: ignore[attr-defined]
            return state[:-1]
        return state[:-1] if state and state[-1] == op.result else ILLEGAL  # type: ignore[attr-defined]

    stack = Model(name="stack", init=(), step=step)

    assert check(history("0:e1 0' 0:e2 0' 0:d 0'2 0:d 0'1"), stack).validity == "valid"
    assert check(history("0:e1 0' 0:e2 0' 0:d 0'1"), stack).validity == "invalid"


@pytest.mark.parametrize(
    ("model", "text", "message"),
    [
        ("register", "0:L 0'", "history: op 0: found f 'acquire'; expected one of read, write, cas (model register)"),
        ("counter", "0:+x 0'", 'history: op 0: found add of "x"; expected an integer (model counter)'),
        ("set", "0:A1 0' 0:q 0'3", "history: op 3: found read answered 3; expected a list (model set)"),
    ],
)
def test_an_op_that_is_none_of_the_models_is_refused_with_its_place(model: str, text: str, message: str) -> None:
    with pytest.raises(MalformedHistory) as caught:
        check(history(text), model)

    assert message == str(caught.value)


def test_an_unknown_model_or_algorithm_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(MalformedHistory, match="one of register, cas-register, counter"):
        check(History([]), "regster")
    with pytest.raises(MalformedHistory, match="auto or one of"):
        check(history("0:r 0'"), "register", algorithm="magic")


def test_the_catalogue_has_every_model_of_the_design() -> None:
    wanted = "register cas-register counter map set queue list multi-register rw-register mutex list-append"

    assert set(wanted.split()) <= set(MODELS)
