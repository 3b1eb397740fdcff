"""`outbox list` and `outbox replay`: notifications and what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from reconciler.cli.output import Format, put_rows, say
from reconciler.cli.shell import OutputOption, known_word, opened
from reconciler.ports.outbox import MessageFilter

outbox = typer.Typer(help="Notifications and their deliveries.")

StateOption = Annotated[str | None, typer.Option("--state", help="pending, delivered or dead.")]
TransactionOption = Annotated[str | None, typer.Option("--transaction", help="Only this one's.")]
SinceOption = Annotated[
    datetime | None,
    typer.Option("--since", formats=["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"], help="Made since; UTC."),
]
COLUMNS = (
    "id", "transaction", "type", "sink", "state", "attempts", "created_at", "next_attempt_at",
    "last_error",
)  # fmt: skip


@outbox.command("list")
def list_command(
    context: typer.Context,
    state: StateOption = None,
    transaction: TransactionOption = None,
    since: SinceOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Notifications, oldest first."""
    from reconciler.engine.views import message_view

    with opened(context) as app:
        found = app.outbox.messages(_filter((), state, transaction, since))
    rows = [message_view(message) for message in found]
    put_rows(rows, COLUMNS, output, {"messages": rows, "total": len(rows)})
    if output is Format.TABLE:
        say(f"{len(rows)} notifications")


@outbox.command()
def replay(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of notifications.")] = None,
    state: StateOption = None,
    transaction: TransactionOption = None,
    since: SinceOption = None,
) -> None:
    """Send notifications again, with their old ids; the next cycle delivers them."""
    chosen = _filter(tuple(ids or ()), state, transaction, since)
    if chosen == MessageFilter():
        raise typer.BadParameter("name ids, --state, --transaction or --since")
    with opened(context) as app:
        again = app.outbox.replay(chosen, app.clock.now())
    say(f"{again} notifications are sent again")
    if ids and again < len(set(ids)):
        say(f"{len(set(ids)) - again} of the ids are not known or do not fit the other options")
        raise typer.Exit(3)


def _filter(
    ids: tuple[str, ...], state: str | None, transaction: str | None, since: datetime | None
) -> MessageFilter:
    from datetime import UTC

    from reconciler.core.model import TransactionId
    from reconciler.ports.messages import MessageState

    known = known_word("--state", state, [each.value for each in MessageState]) if state else None
    return MessageFilter(
        ids=ids,
        state=MessageState(known) if known else None,
        transaction=TransactionId(transaction) if transaction else None,
        since=since.replace(tzinfo=UTC) if since else None,
    )
