"""`reconciler run`: the daemon as a process, with its signals, its watchdog and its exit code."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from reconciler.app import App
from reconciler.cli.exits import Exit
from reconciler.cli.output import say
from reconciler.cli.signals import Interruption
from reconciler.engine.daemon import Daemon, Instruments
from reconciler.engine.health import CheckName, Health
from reconciler.engine.supervision import Duty
from reconciler.errors import StoreUnavailable
from reconciler.settings import Settings
from reconciler.systemd import Notifier


def serve(app: App, load: Callable[[], Settings]) -> int:
    """Run until a signal or a failure; the exit code. `load` reads the settings anew.

    Raises SettingsError and SchemaError: with these nothing can be begun. A database that cannot
    be reached is waited for.
    """
    app.metered = app.settings.web.enabled
    app.libraries.check_keys()
    _ = app.sinks
    health = Health(app.clock)
    try:
        app.prepare_schema()
        app.check_tenants()
    except StoreUnavailable as error:
        health.ill(CheckName.DATABASE, str(error))
    instruments = Instruments(app.progress, health, Notifier(app.environ).tell)
    reason = asyncio.run(_serve(app, instruments, load))
    if reason is not None:
        say(f"ended: {reason}")
    code = Exit.DONE if reason is None else Exit.ERROR
    if app.storage.is_busy:
        say("the database has not answered until the end")
        os._exit(code)  # its thread would be waited for without an end
    return code


async def _serve(app: App, instruments: Instruments, load: Callable[[], Settings]) -> str | None:
    latest = app

    async def reload() -> App:
        nonlocal latest
        new = latest.reloaded(load())
        await app.storage.run(new.check_tenants)
        latest = new
        return latest

    daemon = Daemon(
        app,
        app.tenure,
        app.clock,
        instruments,
        reload=reload,
        tasks=duties(lambda: latest, instruments.health),
    )
    Interruption().listen(daemon.stop)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, daemon.reload)
    return await daemon.run()


def duties(app: Callable[[], App], health: Health) -> list[Duty]:
    """What else runs for as long as the daemon does. Raises SettingsError."""
    if not app().settings.web.enabled:
        return []
    from reconciler.web.site import web_duty

    return [web_duty(app, health)]
