"""A journey for people, and for a machine to play again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.explore import acts
from tests.explore.world import AND_TIME, TIME_PASSES, Move, State, World

Labels = Sequence[tuple[str, ...]]

LIBRARY = {"A": "the lender", "B": "the reader's library", "C": "the pickup library"}

_SAID = {
    "scan_in": "{who} scans the book in at {0}",
    "lend to our patron": "{who} lends it to our virtual patron",
    "lend to our reader": "{who} lends it to our reader",
    "lend to another": "{who} lends it to another reader",
    "cancel": "{who}: {0} is cancelled",
    "shelf time ends": "{who}: the shelf time of {0} ends, the item stays on the shelf",
    "issue our hold anew": "{who} issues our hold anew, under a new id",
    "end our hold and place it again": "{who} cancels our hold and places it again",
    "our reader asks again": "our reader asks for it again at {place}",
    "another asks": "another reader asks for it at {place}",
    "another asks, and is first": "another reader asks for it at {place}, before us",
    "renew": "{who} renews the loan",
    "discharge and charge again": "{who} discharges the loan and charges it again",
    "mark lost": "{who} marks the loan as lost",
    "claim returned": "the reader claims to have returned it to {place}",
    "found": "{who}: it is found",
    "pay for the lost": "the lost book is paid for at {place}",
    "mark missing": "{who} marks the item as missing",
    "mark missing, holds end": "{who} marks the item as missing, and its holds are cancelled",
    "work order": "{who} puts the item into a work order",
    "withdraw": "{who} withdraws the item",
    "delete the virtual item": "a cataloguer of {place} deletes our virtual item",
    "merge our bib": "a cataloguer of {place} merges our virtual bib into the library's own",
    "anonymise": "the nightly job of {place} makes old loans anonymous",
    "move our hold to": "{who} moves our hold to the other copy",
}


def sentence(label: tuple[str, ...]) -> str:
    """One step, in words."""
    who, *more = label
    if who not in LIBRARY:
        return ": ".join((who, ", ".join(more))) if more else who
    name, *details = more
    details = [each for each in details if not _is_id(each)]
    mistake = " by mistake: it is not there" if details[-1:] == ["by mistake"] else ""
    told = _SAID[name].format(*details, who=LIBRARY[who], place=LIBRARY[who])
    return f"{told}{mistake}"


def _is_id(word: str) -> bool:
    return len(word) > 2 and word[0] in LIBRARY and word[2:].isdigit()


def told(labels: Labels) -> str:
    """A numbered list of the steps."""
    return "\n".join(f"{n:>4}. {sentence(label)}" for n, label in enumerate(labels, 1))


def snippet(labels: Labels, workflow: str) -> str:
    """The same, to be played against engine and sandbox (`tests.explore.replay.replayed`)."""
    rows = "\n".join(f"        {label!r}," for label in labels)
    return f"    await replayed(folder, {workflow!r}, [\n{rows}\n    ])"


def walked(world: World, labels: Labels) -> list[Move]:
    """The moves of a journey, made again from the beginning.

    Raises LookupError where the world has no such move.
    """
    state, made = world.start(), []
    for label in spelt_out(labels):
        if label == TIME_PASSES:
            move = Move(label, 0, world.later(state))
        else:
            found = (each for each in world.moves(state) if each.label == label)
            move = next(found, None) or _missing(label, state, world)
        made.append(move)
        state = move.after
    return made


def spelt_out(labels: Labels) -> Iterable[tuple[str, ...]]:
    """Each step of time as one of its own."""
    for label in labels:
        if label[-1] == AND_TIME:
            yield label[:-1]
            yield TIME_PASSES
        else:
            yield label


def _missing(label: tuple[str, ...], state: State, world: World) -> Move:
    there = ", ".join("|".join(each.label) for each in world.moves(state))
    raise LookupError(f"no move {label} at this state; there are: {there}")


__all__ = ["Labels", "acts", "sentence", "snippet", "told", "walked"]
