"""Plays the script and tells it: what people did, what Alma showed, which rule fired."""

from __future__ import annotations

from collections.abc import Awaitable

from reconciler.cli.demo.script import STORIES, Story
from reconciler.cli.demo.stage import Lend, Stage, stage
from reconciler.cli.exits import Exit
from reconciler.cli.output import put
from reconciler.core.model import Evidence, HistoryEntry, TransactionId
from reconciler.core.status import HistoryKind, Resource


async def play() -> Exit:
    """Every story from its beginning to its end; DONE only if all end as they must."""
    wrong: list[str] = []
    with stage() as ready:
        put("reconciler demo: two Almas (uni-a, uni-b) and a library without one (town-c)")
        put(f"The sandbox serves both Almas at {ready.serving.base_url}; nothing else is called.")
        async with ready.app:
            for story in STORIES:
                wrong += await _tell(story, ready)
        writes = [call for call in ready.sandbox.calls if call.method != "GET"]
        put("")
        put(
            f"{len(STORIES)} lends, {len(ready.sandbox.calls)} calls to Alma, "
            f"{len(writes)} of them writing."
        )
    for problem in wrong:
        put(f"NOT AS IT MUST BE: {problem}")
    put("All lends ended as they must." if not wrong else f"{len(wrong)} things went wrong.")
    return Exit.ERROR if wrong else Exit.DONE


async def _tell(story: Story, on: Stage) -> list[str]:
    lend = await on.submit(story.id, story.book, external_borrower=story.external_borrower)
    put("")
    put(f"── {story.id}: {story.about} ──")
    put(f"   “{lend.title}”, barcode {lend.barcode}")
    put(f"{_time(on)}  {'service':<7} submits the request")
    if story.before is not None:
        story.before(on, lend)
    await on.look()
    _tell_news(lend, on)
    for scene in story.scenes:
        on.clock.skip(scene.after)
        put(f"{_time(on)}  {scene.who:<7} {scene.does}")
        done = scene.act(on, lend)
        if isinstance(done, Awaitable):
            lend = await done
            put(f"{'':18}now “{lend.title}”, barcode {lend.barcode}")
        await on.look()
        _tell_news(lend, on)
    return _tell_end(story, lend, on)


def _tell_end(story: Story, lend: Lend, on: Stage) -> list[str]:
    ended, left = on.transaction(lend), on.left_of(lend)
    put(
        f"   ends {ended.status}, outcome {ended.outcome}; of it the Almas hold {left or 'nothing'}"
    )
    wrong = []
    if (ended.status, ended.outcome) != (story.ends, story.outcome):
        wrong.append(f"{story.id} ended {ended.status}/{ended.outcome}, not {story.ends}")
    if left:
        wrong.append(f"{story.id} left {left} behind")
    return wrong


def _tell_news(lend: Lend, on: Stage) -> None:
    """What the last look added to the history, and what it could not read."""
    entries = on.app.store.history(TransactionId(lend.id))
    for entry in entries[on.told.get(lend.id, 0) :]:
        for line in _lines(entry):
            put(f"{'':18}{line}")
    on.told[lend.id] = len(entries)
    for leg in on.transaction(lend).legs:
        for resource in Resource:
            failure = leg.remembered(resource).failure
            if failure:
                put(f"{'':18}Alma    {leg.role} {resource} not readable: {failure}")


def _lines(entry: HistoryEntry) -> list[str]:
    if entry.kind is HistoryKind.OBSERVATION:
        return [f"Alma    {_sight(each)}" for each in entry.evidence]
    if entry.kind is HistoryKind.TRANSITION:
        inferred = " (inferred)" if entry.inferred else ""
        return [
            f"rule    {entry.rule}{inferred}: {entry.detail}",
            f"        {entry.source} → {entry.target}",
        ]
    if entry.kind is HistoryKind.EFFECT:
        return [f"effect  {entry.detail}"]
    if entry.kind is HistoryKind.ATTENTION:
        return [f"parked  {entry.reason}: {entry.detail}"]
    return [f"told    {', '.join(_sight(each) for each in entry.evidence) or entry.detail}"]


def _sight(evidence: Evidence) -> str:
    raw = f" ({evidence.raw})" if evidence.raw not in (None, evidence.state) else ""
    return f"{evidence.role} {evidence.resource} {evidence.state}{raw}"


def _time(on: Stage) -> str:
    return on.clock.now().strftime("%a %d %b %H:%M")
