"""The binding: what each code label of a plan is.

A run is a pure function of (plan, binding). The plan names labels ("default", "A", "B"); the binding says which code
each label stands for: a spec that a person typed (`raft_impl`, `raft_impl@v1.2`, `path:DIR`), the folder that the spec
led to, and a digest of the code found there. It carries no loaded code, so that it crosses process boundaries.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the code under test.

    `directory` is the folder of the package itself; `digest` covers its Python files; `commit` is what a git ref meant
    when it was resolved, and empty for a folder.
    """

    spec: str
    directory: str
    digest: str
    commit: str = ""
    is_foreign: bool = False
    """Whether it is no version of the Raft beside us, which tests and a guard hold to its plan."""

    @property
    def path(self) -> Path:
        """The folder that holds the package's `__init__.py`."""
        return Path(self.directory)


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """The code of each label."""

    codes: dict[str, Code]

    @property
    def is_foreign(self) -> bool:
        """Whether a system of other people takes part."""
        return any(code.is_foreign for code in self.codes.values())

    @property
    def code_digest(self) -> str:
        """One digest over all labels and their code: equal means the very same code runs."""
        lines = "".join(f"{label} {code.digest}\n" for label, code in sorted(self.codes.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def recorded(self) -> RecordedBinding:
        """What a record of a run holds: no folder of this machine, so that the same run reads the same anywhere."""
        codes = {
            label: RecordedCode(spec=code.spec, digest=code.digest, commit=code.commit)
            for label, code in sorted(self.codes.items())
        }
        return RecordedBinding(codes=codes)


class RecordedCode(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the code under test, as a record names it."""

    spec: str
    digest: str
    commit: str = ""


class RecordedBinding(msgspec.Struct, frozen=True, kw_only=True):
    """A binding, as a record names it."""

    codes: dict[str, RecordedCode]

    @property
    def system(self) -> str:
        """The specs of all labels, as one text."""
        return " ".join(code.spec for code in self.codes.values())
