"""Systems of other people: found by file, by module and by entry point, and refused in one line when they are wrong."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from harness import cli
from harness.errors import BadInput
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from harness.systems.system import System
from tests.pages import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "systems" / "primary_backup.py"

HEAD = """
    from harness.systems.adapter import Adapter, Client, Server
    from harness.systems.system import Completion
"""


def load(spec: str) -> System:
    with Checkouts() as checkouts:
        return load_systems(bind(spec, checkouts))["default"]


def written(folder: Path, text: str, name: str = "mine.py") -> Path:
    file = folder / name
    file.write_text(textwrap.dedent(HEAD) + textwrap.dedent(text), encoding="utf-8")
    return file


class Command:
    """Runs commands of this process, with results in a folder of the test."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def __call__(self, *arguments: str) -> tuple[int, str]:
        code = cli.run([*arguments, "--results", str(self.folder / "results")])
        output = self.capsys.readouterr()
        return code, output.out + output.err


@pytest.fixture
def foreshock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, capsys)


def test_a_system_in_a_file_is_run_and_its_bug_is_found(foreshock: Command) -> None:
    code, output = foreshock("run", "--system", f"{EXAMPLE}:PrimaryBackup", "--seed", "1")

    assert code == 1
    assert "invalid: linearizability/nonlinearizable" in output
    assert f"--system {EXAMPLE}:PrimaryBackup" in output
    assert "@leader" not in output
    assert "transfer" not in output


PASSED_ON = """
    import functools

    def counted(method):
        @functools.wraps(method)
        def call(*arguments):
            return method(*arguments)
        return call

    def awaited(method):
        @functools.wraps(method)
        async def call(*arguments):
            return method(*arguments)
        return call
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("async def invoke", "@counted\n        async def invoke"),
        ("async def invoke", "@awaited\n        def invoke"),
        ("def process(self, messages):", "@counted\n        def process(self, messages):"),
        ("def process", "@classmethod\n        def post(cls): pass\n        def process"),
        ("def process", "@staticmethod\n        def post(): pass\n        def process"),
        ("def process", "@staticmethod\n        async def sync(): pass\n        def process"),
    ],
)
def test_a_method_may_be_decorated(old: str, new: str, tmp_path: Path, foreshock: Command) -> None:
    file = written(tmp_path, PASSED_ON + WORKS.replace(old, new))

    code, output = foreshock("run", "--system", f"{file}:Mine", "--seed", "1", "--duration", "2s", "--rate", "5")

    assert code == 1, output
    assert "is refused (unsupported)" in output, "as without the decorator"


def test_a_system_in_a_module_is_the_same_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_of_tests.py").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert load("shop_of_tests:PrimaryBackup").name == "primary-backup"


def test_a_module_that_is_a_script_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "script_of_tests.py").write_text("raise SystemExit(0)\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(BadInput, match="found SystemExit: 0; expected a module that can be imported"):
        load("script_of_tests:Mine")


def test_a_system_of_an_installed_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "installed_shop.py").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    facts = tmp_path / "installed_shop-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: installed-shop\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[foreshock.systems]\nshop = installed_shop:PrimaryBackup\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert load("shop").name == "primary-backup"


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        ("class Mine(Adapter):\n    name = 'mine'\n", "Mine", "workloads ()"),
        ("class Mine(Adapter):\n    workloads = ('register',)\n", "Mine", "name ''"),
        ("class Mine:\n    name = 'mine'\n", "Mine", "Mine without capabilities, client, command"),
        ("class Mine(Adapter):\n    pass\n", "Yours", "no name 'Yours'; expected Mine"),
        ("class Mine(Adapter):\n    def __init__(self, x): pass\n", "Mine", "TypeError"),
        ("class Mine(Adapter):\n    name, workloads, adapter_version = 'm', ('register',), 9\n", "Mine", "adapter_ver"),
        ("raise ValueError('no luck')\n", "Mine", "ValueError: no luck at mine.py"),
        ("raise SystemExit(3)\n", "Mine", "SystemExit: 3 at mine.py"),
        ("class Mine(Adapter):\n    def __init__(self): raise SystemExit(3)\n", "Mine", "SystemExit: 3"),
        ("1 +\n", "Mine", "SyntaxError"),
    ],
)
def test_a_wrong_adapter_is_refused_in_one_line_that_names_what_is_wrong(
    text: str, name: str, found: str, tmp_path: Path
) -> None:
    spec = f"{written(tmp_path, text)}:{name}"

    with pytest.raises(BadInput) as caught:
        load(spec)

    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


WORKS = """
    class Replica(Server):
        def process(self, messages):
            for source, frame in messages:
                self.env.network.send(source, frame)
            return False

    class Session(Client):
        async def invoke(self, f, key, value):
            return Completion("fail", error="unsupported")

    class Mine(Adapter):
        name, workloads = "mine", ("register",)
        server_class, client_class = Replica, Session
"""


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('return Completion("fail", error="unsupported")', "return None", "found None; expected a Completion"),
        ('return Completion("fail", error="unsupported")', "return 1 / 0", "ZeroDivisionError: division by zero"),
        ("async def invoke", "def invoke", "found Session.invoke, which is not async; expected async def"),
        (
            "server_class, client_class = Replica, Session",
            "client_class = Session\n        def server(self, *_): return object()",
            "object without command, deadline_ns, inspect, must_sync, notes, post, process, start, sync",
        ),
    ],
)
def test_an_adapter_that_fails_while_it_runs_is_refused_in_one_line(
    old: str, new: str, found: str, tmp_path: Path, foreshock: Command
) -> None:
    file = written(tmp_path, WORKS.replace(old, new))

    code, output = foreshock("run", "--system", f"{file}:Mine", "--seed", "1")

    assert code == 254, output
    assert found in output.splitlines()[-1]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("def process(self, messages)", "def proces(self, messages)", "Replica without process; expected def process"),
        ("def process(self, messages)", "def process(self)", "Replica.process(self); expected def process(self, mess"),
        ("def process", "async def process", "Replica.process, which is async; expected def process(self, messages)"),
        ("def process", "def sync(self): pass\n        def process", "Replica.sync, which is not async"),
        (
            "async def invoke",
            "async def invok",
            "Session without invoke; expected async def invoke(self, f, key, value)",
        ),
        ("invoke(self, f, key, value)", "invoke(self, f)", "Session.invoke(self, f); expected async def invoke(self"),
        ("server_class, client_class = Replica, Session", "client_class = Session", "no server_class; expected"),
        ("server_class, client_class = Replica, Session", "server_class = Replica", "no client_class; expected"),
        (
            "client_class = Replica, Session",
            "client_class = 'Replica', Session",
            "server_class 'Replica'; expected a cl",
        ),
        ("server_class,", "capabilities = ('leadr',)\n        server_class,", "perhaps leader"),
        (
            "server_class,",
            "capabilities = 'disk'\n        server_class,",
            "capabilities 'disk'; expected a tuple of words",
        ),
        ("server_class,", "options = ('x',)\n        server_class,", "option 'x'; expected an OptionSpec"),
        ("server_class,", "options = None\n        server_class,", "options None; expected a tuple of OptionSpec"),
        (
            "server_class,",
            "capabilities = None\n        server_class,",
            "capabilities None; expected a tuple of words",
        ),
        ('("register",)', "5", "workloads 5; expected a tuple with one name at least"),
        ('("register",)', "('register', 5)", "workloads ('register', 5); expected a tuple with one name at least"),
        ('Completion("fail", ', 'Completion("okay", ', "expected a Completion of ok, fail or info"),
        ("return Completion", "import time; time.time(); return Completion", "time.time, which is not a function of"),
        ("return Completion", "raise SystemExit(3); return Completion", "found sys.exit(3); expected a client that"),
        ('("register",)', '("regster",)', "workload 'register'; expected what"),
    ],
)
def test_a_wrong_adapter_is_refused_in_one_line(
    old: str, new: str, found: str, tmp_path: Path, foreshock: Command
) -> None:
    file = written(tmp_path, WORKS.replace(old, new))

    code, output = foreshock("run", "--system", f"{file}:Mine", "--seed", "1", "--duration", "2s", "--rate", "5")

    assert code == 254, output
    assert found in output.splitlines()[-1]


def test_a_system_that_is_no_function_of_its_plan_is_named_with_its_first_different_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreshock: Command
) -> None:
    # A module is not behind the guard: its entropy is real, and only a second run shows it.
    text = WORKS.replace("source, frame)", "source, frame + os.urandom(os.urandom(1)[0]))")
    written(tmp_path, text.replace("class Replica", "import os\n\n    class Replica", 1), "of_chance.py")
    sends = "self.env.network.send(self.home, b'hello'); return Completion('fail', error='unsupported')"
    file = tmp_path / "of_chance.py"
    file.write_text(file.read_text().replace('return Completion("fail", error="unsupported")', sends))
    monkeypatch.chdir(tmp_path)

    code, output = foreshock("run", "--system", "of_chance:Mine", "--seed", "1")

    assert code == 254
    assert "two runs of one plan that differ at event" in output


def test_what_a_guarded_file_reaches_for_is_named(tmp_path: Path, foreshock: Command) -> None:
    text = WORKS.replace("return False", "import time; time.time(); return False", 1)
    text = text.replace("return Completion", "self.env.network.send(self.home, b'hello'); return Completion")

    code, output = foreshock("run", "--system", f"{written(tmp_path, text)}:Mine", "--seed", "1", "--verbose")

    assert code == 1
    assert "code under test used time.time" in " ".join(output.split())


def test_a_suite_and_a_comparison_take_a_system_of_ones_own(foreshock: Command) -> None:
    spec = f"{EXAMPLE}:PrimaryBackup"

    code, output = foreshock("suite", "--system", spec, "--count", "4", "--jobs", "1", "--workload", "register")
    same, _ = foreshock("compare", spec, spec, "--seeds", "1..2", "--jobs", "1", "--workload", "register")

    assert code == 1
    assert "linearizability/nonlinearizable" in output
    assert same == 0
