"""A real daemon, one part of which is killed or held up soon after its start.

Run as `python -m tests.daemon.sabotaged HOW WHAT`, in a folder with settings.yaml. The parts are
the daemon's own; what does the harm is one more duty beside them, or its clock.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from reconciler import logs
from reconciler.app import App
from reconciler.cli import daemon
from reconciler.clock import SystemClock
from reconciler.engine.health import Health
from reconciler.engine.supervision import Duty
from reconciler.settings_file import load

DELAY = 0.7


class HoldingClock(SystemClock):
    """Sleeps for ever in the task of a name, from a second after its making on."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._from = self.monotonic() + DELAY

    async def sleep(self, seconds: float) -> None:
        task = asyncio.current_task()
        late = self.monotonic() >= self._from
        if late and task is not None and task.get_name() == self._name:
            await asyncio.Event().wait()
        await super().sleep(seconds)


async def cancel(_: App, what: str) -> None:
    """Cancel the task of a name as soon as it is there."""
    await asyncio.sleep(DELAY)
    while True:
        for task in asyncio.all_tasks():
            if task.get_name() == what:
                task.cancel()
        await asyncio.sleep(0.01)


async def hold_up_the_database(app: App, _: str) -> None:
    await asyncio.sleep(DELAY)
    await app.storage.run(time.sleep, 3600)


async def end(_: App, __: str) -> None:
    await asyncio.sleep(DELAY)


async def hold_up_the_loop(_: App, __: str) -> None:
    await asyncio.sleep(DELAY)
    time.sleep(3600)  # noqa: ASYNC251 - that is the harm


async def unschedule(_: App, __: str) -> None:
    """Take the job away behind everybody's back."""
    await asyncio.sleep(DELAY)
    for each in gc.get_objects():
        if isinstance(each, AsyncIOScheduler):
            each.remove_all_jobs()
    await asyncio.Event().wait()


HARMS = {
    "cancel": cancel,
    "database": hold_up_the_database,
    "end": end,
    "loop": hold_up_the_loop,
    "unschedule": unschedule,
}


def main(how: str, what: str) -> int:
    settings = load(Path("settings.yaml"))
    logs.set_up("INFO", "text")
    app = App(settings, HoldingClock(what) if how == "hold" else SystemClock(), os.environ)
    if how in HARMS:

        def duties(app: Callable[[], App], _: Health) -> list[Duty]:
            return [Duty("harm", partial(HARMS[how], app(), what))]

        daemon.duties = duties
    return daemon.serve(app, lambda: load(Path("settings.yaml")))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
