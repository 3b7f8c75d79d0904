"""What a person can do about a word that administration is refused with; the command line and HTTP say the same."""

from __future__ import annotations

from typing import Final

HINTS: Final = {
    "unreachable": "no server answered; are they running, and are the addresses right?",
    "timeout": "no server answered in time; are they running, and are the addresses right?",
    "no-leader": "no server leads; a majority of the voters must run and reach each other",
    "not-leader": "no server leads; a majority of the voters must run and reach each other",
    "not-member": "the target is no voter of the group, or leads already",
    "bad-change": "no voter would remain, or a server was named twice",
    "nothing-new": "the latest snapshot has all that was applied",
    "no-other-voter": "the leader is the only voter",
    "is-member": "the server is a member already; `promote` makes a learner a voter",
    "no-member": "the server is no member",
    "no-learner": "the server is no learner; `add` takes a new one in",
    "not-transferred": "the leader kept its place, or no other was seen to lead; look at the status",
    "not-caught-up": "the newcomer did not catch up in time; does it run, at the address that was given?",
    "not-committed": "the change was begun and was not seen to end; look at the status",
}
