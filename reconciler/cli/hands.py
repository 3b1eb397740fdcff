"""poll, retry, park, close: what people do to single transactions, or to all that fit a filter.

Ids are acted on at once. A filter shows first what it would take ("eligible X of Y", and what is
left out and why), then asks, or takes --yes.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.exits import Exit
from reconciler.cli.output import Format, put, put_rows, say
from reconciler.cli.shell import (
    OutputOption,
    ParkedOption,
    ReasonOption,
    StatusOption,
    StuckOption,
    TenantOption,
    actor,
    filter_of,
    opened,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.app import App
    from reconciler.core.commands.command import Command, Order
    from reconciler.core.model import TransactionId
    from reconciler.engine.hands import HandsReport, NotDone

hands = typer.Typer()

IdsArgument = Annotated[list[str] | None, typer.Argument(help="Ids of transactions.")]
AcceptCopyOption = Annotated[
    bool,
    typer.Option(
        "--accept-copy",
        help="The copy that Alma bound instead is this lend's copy from now on.",
    ),
]
UnreadOption = Annotated[
    bool,
    typer.Option(
        "--unread", help="End it although a library cannot be read, on what was last known there."
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
COLUMNS = ("result", "id", "what")
SHOWN = 20
"""So many lines of a list are printed; -o json has them all."""


@hands.command()
def poll(
    context: typer.Context,
    ids: Annotated[list[str], typer.Argument(help="Ids of transactions.")],
    output: OutputOption = Format.TABLE,
) -> None:
    """Look at these at the next tick, whatever their next look was; within the same quota."""
    from reconciler.core.commands.command import Command

    with opened(context) as app:
        report = _carried_out(app, _order(app, name=Command.POLL, reason=None), ids)
    _put_report(report, Command.POLL, output)
    _exit(report, by_id=True)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which transactions a command line names: ids, or a filter. BadParameter for both or none."""

    ids: tuple[str, ...]
    status: str | None
    tenant: str | None
    parked: bool
    stuck: bool
    yes: bool

    def __post_init__(self) -> None:
        is_filtered = bool(self.status or self.tenant or self.parked or self.stuck)
        if bool(self.ids) == is_filtered:
            raise typer.BadParameter(
                "name ids, or a filter (--status, --tenant, --parked, --stuck), and not both"
            )


@dataclass(frozen=True, slots=True)
class Extras:
    """The options that only one of these commands has."""

    accept_copy: bool = False
    unread: bool = False


def _to_those_chosen(extras: Callable[..., Extras]) -> Callable[..., None]:
    """The command of the function's name, on ids or a filter and with a reason: these options
    beside the function's own."""

    def command(
        context: typer.Context,
        reason: ReasonOption,
        ids: IdsArgument = None,
        status: StatusOption = None,
        tenant: TenantOption = None,
        parked: ParkedOption = False,
        stuck: StuckOption = False,
        yes: YesOption = False,
        output: OutputOption = Format.TABLE,
        **own: bool,
    ) -> None:
        chosen = Chosen(tuple(ids or ()), status, tenant, parked, stuck, yes)
        given = partial(_order, name=extras.__name__, reason=reason, extras=extras(**own))
        _by_hand(context, given, chosen, output)

    shared = list(inspect.signature(command, eval_str=True).parameters.values())[:-1]
    own = inspect.signature(extras, eval_str=True).parameters.values()
    command.__name__, command.__doc__ = extras.__name__, extras.__doc__
    command.__annotations__ = {each.name: each.annotation for each in (*shared, *own)}
    command.__signature__ = inspect.Signature([*shared, *own])  # type: ignore[attr-defined]
    return command


@hands.command()
@_to_those_chosen
def retry(accept_copy: AcceptCopyOption = False) -> Extras:
    """Take out of parking, and try again what was refused."""
    return Extras(accept_copy=accept_copy)


@hands.command()
@_to_those_chosen
def park() -> Extras:
    """Set aside for a person: it goes on being read, nothing is done for it."""
    return Extras()


@hands.command()
@_to_those_chosen
def close(unread: UnreadOption = False) -> Extras:
    """Say that a lend is over; what we made for it is then cleared, or left to staff.

    It looks first. A book that has left since the last look has to come home: that is told, and a
    second close ends it.
    """
    return Extras(unread=unread)


def _by_hand(
    context: typer.Context, given: Callable[[App], Order], chosen: Chosen, output: Format
) -> None:
    from reconciler.engine.hands import HandsReport

    with opened(context) as app:
        order = given(app)
        if chosen.ids:
            report = _carried_out(app, order, chosen.ids)
        else:
            eligible, skipped = _previewed(app, order, chosen)
            report = _carried_out(app, order, eligible) if eligible else HandsReport()
            report.skipped[:0] = skipped
    _put_report(report, order.command, output)
    _exit(report, by_id=bool(chosen.ids))


def _order(app: App, *, name: str, reason: str | None, extras: Extras = Extras()) -> Order:
    from reconciler.core.commands.command import Command, Order

    if reason is not None and not reason.strip():
        raise typer.BadParameter("--reason: say why; it is kept in the history")
    now = app.clock.now()
    return Order(Command(name), actor(), reason, now, extras.accept_copy, extras.unread)


def _previewed(
    app: App, order: Order, chosen: Chosen
) -> tuple[Sequence[TransactionId], Sequence[NotDone]]:
    """What a filter would take, shown and agreed to; what it leaves out."""
    live = chosen.status is None
    filter = filter_of(app, chosen.status, chosen.tenant, parked=chosen.parked, live=live)
    preview = app.hands.preview(order, app.desk.matching(filter, stuck=chosen.stuck))
    say(f"eligible {len(preview.eligible)} of {preview.found}")
    _say_all(f"would {order.command}", [str(id) for id in preview.eligible])
    _say_all("skipped", [f"{each.id}: {each.why}" for each in preview.skipped])
    if preview.eligible and not chosen.yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter(
                "there is no terminal to ask on: look at the list above and give --yes"
            )
        typer.confirm(f"{order.command} these {len(preview.eligible)}?", abort=True, err=True)
    return preview.eligible, preview.skipped


def _carried_out(app: App, order: Order, ids: Sequence[str]) -> HandsReport:
    from reconciler.core.model import TransactionId

    async def carried_out() -> HandsReport:
        async with app:
            return await app.hands.carry_out(order, [TransactionId(id) for id in ids])

    return asyncio.run(carried_out())


def _put_report(report: HandsReport, command: Command, output: Format) -> None:
    """Three lists: done, failed, skipped."""
    done = [
        {"id": each.id, "what": each.told, "warnings": [*each.warnings], "left": [*each.left]}
        for each in report.done
    ]
    failed = [{"id": each.id, "why": each.why} for each in report.failed]
    skipped = [{"id": each.id, "why": each.why} for each in report.skipped]
    if output is Format.TABLE:
        for each in report.done:
            put(f"done     {each.id}  {each.told}")
            for warning in each.warnings:
                put(f"           note: {warning}")
            for thing in each.left:
                put(f"           left in Alma, remove it by hand: {thing}")
        for label, others in (("failed", report.failed), ("skipped", report.skipped)):
            for other in others:
                put(f"{label:<8} {other.id}  {other.why}")
    else:
        document = {"command": command, "done": done, "failed": failed, "skipped": skipped}
        rows = [{"result": "done", **row} for row in done]
        rows += [{"result": "failed", "id": row["id"], "what": row["why"]} for row in failed]
        rows += [{"result": "skipped", "id": row["id"], "what": row["why"]} for row in skipped]
        put_rows(rows, (*COLUMNS, "warnings", "left"), output, document)
    say(f"{command}: {len(done)} done, {len(failed)} failed, {len(skipped)} skipped")


def _exit(report: HandsReport, *, by_id: bool) -> None:
    """3 when something failed, or when an id was named that the command does not fit."""
    if report.failed or (by_id and report.skipped):
        raise typer.Exit(Exit.PARTLY)


def _say_all(label: str, lines: Sequence[str]) -> None:
    for line in lines[:SHOWN]:
        say(f"  {label} {line}")
    if len(lines) > SHOWN:
        say(f"  {label} {len(lines) - SHOWN} more")
