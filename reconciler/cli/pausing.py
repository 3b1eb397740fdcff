"""pause and resume: one transaction, one library with all it has a part in, or everything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.exits import Exit
from reconciler.cli.output import say
from reconciler.cli.shell import ReasonOption, actor, check_tenant, opened

if TYPE_CHECKING:
    from reconciler.app import App
    from reconciler.engine.pausing import Paused, Target

pausing = typer.Typer()

LibraryOption = Annotated[
    str | None,
    typer.Option("--tenant", help="A library: every transaction in which it has a part."),
]
OneOption = Annotated[str | None, typer.Option("--id", help="One transaction.")]
AllOption = Annotated[bool, typer.Option("--all", help="Everything.")]


@pausing.command()
def pause(
    context: typer.Context,
    reason: ReasonOption,
    tenant: LibraryOption = None,
    id: OneOption = None,
    everything: AllOption = False,
) -> None:
    """Stop: nothing is read or done until resume. Once this returns, nothing fires."""
    target = _target(tenant, id, everything=everything)
    with opened(context) as app:
        check_tenant(app, tenant)

        async def stopped() -> Paused:
            async with app:
                return await app.pausing.pause(target, actor(), reason)

        paused = asyncio.run(stopped())
    _tell(target, paused)


def _tell(target: Target, paused: Paused) -> None:
    from reconciler.engine.views import instant

    held = paused.pause
    if paused.is_new:
        say(
            f"paused: {_named(target)}; nothing is read or done until: "
            f"reconciler resume {_option(target)} --reason TEXT"
        )
    else:
        since = f"since {instant(held.since)} by {held.actor}: {held.reason}"
        say(f"{_named(target)}: paused already, {since}")
    if paused.in_flight:
        say(
            f"calls that had gone out before and are still without an answer: {paused.in_flight}; "
            "no other will go out"
        )
        raise typer.Exit(Exit.PARTLY)


@pausing.command()
def resume(
    context: typer.Context,
    reason: ReasonOption,
    tenant: LibraryOption = None,
    id: OneOption = None,
    everything: AllOption = False,
) -> None:
    """Go on: what was paused is due now."""
    target = _target(tenant, id, everything=everything)
    with opened(context) as app:
        if tenant is not None and all(each.tenant != tenant for each in app.pauses.standing()):
            check_tenant(app, tenant)  # a library that left the settings can still be resumed

        async def gone_on() -> tuple[bool, list[str]]:
            async with app:
                resumed = await app.pausing.resume(target, actor(), reason)
                return resumed, _still_paused(app, target)

        resumed, still = asyncio.run(gone_on())
    what = "resumed; it is due now" if resumed else "was not paused"
    say(f"{_named(target)}: {what}")
    for line in still:
        say(line)


def _still_paused(app: App, target: Target) -> list[str]:
    """What else goes on stopping the same, so that nobody waits in vain."""
    if target.id is not None:
        transaction = app.store.get(target.id)
        if transaction.paused is None:
            return []
        command = transaction.paused.resume_command(transaction)
        return [f"still paused ({transaction.paused.reason}): {command}"]
    return [
        f"still paused: {each.tenant or 'everything'} ({each.reason})"
        for each in app.pauses.standing()
    ]


def _target(tenant: str | None, id: str | None, *, everything: bool) -> Target:
    from reconciler.core.model import HostLmsCode, TransactionId
    from reconciler.engine.pausing import Target

    if [bool(tenant), bool(id), everything].count(True) != 1:
        raise typer.BadParameter("name one of --tenant, --id, --all")
    return Target(
        id=TransactionId(id) if id else None, tenant=HostLmsCode(tenant) if tenant else None
    )


def _named(target: Target) -> str:
    if target.id is not None:
        return str(target.id)
    return "everything" if target.tenant is None else f"all of {target.tenant}"


def _option(target: Target) -> str:
    if target.id is not None:
        return f"--id {target.id}"
    return "--all" if target.tenant is None else f"--tenant {target.tenant}"
