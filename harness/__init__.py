"""The harness: plans, the simulated world that runs them, and the commands around both.

Before anything else is imported, modules that were compiled are put in the place of their sources, if that is asked for
(`harness.compiled`).
"""

from .compiled.finder import activate

activate()
