"""The commands at the desk: what people tell us and ask us; no library is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.exits import Exit
from reconciler.cli.output import Format, put_json, put_rows, say
from reconciler.cli.shell import (
    IdArgument,
    OutputOption,
    ParkedOption,
    ReasonOption,
    StatusOption,
    StuckOption,
    TenantOption,
    actor,
    filter_of,
    known_word,
    lines_of,
    looked_at,
    opened,
    tell_pauses,
    tell_rests,
)

if TYPE_CHECKING:
    from typing import BinaryIO

    from reconciler.app import App
    from reconciler.core.model import TransactionId
    from reconciler.engine.desk import IntakeReport

desk = typer.Typer()

LIST_COLUMNS = (
    "id", "workflow", "status", "status_since", "next_expected", "next_poll_at", "parked",
    "paused", "supplier", "borrower", "pickup",
)  # fmt: skip


@desk.command()
def track(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="JSON Lines; - reads standard input.")],
    output: OutputOption = Format.TABLE,
) -> None:
    """Follow requests that somebody else has placed, from here on. Idempotent by id."""
    with opened(context) as app, lines_of(file) as lines:
        report = app.desk.track(lines, actor())
    put_intake(report, "tracked", output)


@desk.command()
def submit(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="JSON Lines; - reads standard input.")],
    output: OutputOption = Format.TABLE,
) -> None:
    """Take new requests, which we place. Idempotent by id; the libraries are asked first."""
    import asyncio

    async def checked(app: App, lines: BinaryIO) -> IntakeReport:
        async with app:
            return await app.submit(lines, actor())

    with opened(context) as app, lines_of(file) as lines:
        report = asyncio.run(checked(app, lines))
    put_intake(report, "submitted", output)


def put_intake(report: IntakeReport, done: str, output: Format) -> None:
    """What became of an import file; exit 3 when a line was refused."""
    if output is Format.JSON:
        put_json(
            {
                "accepted": report.accepted,
                "known": report.known,
                "refused": [
                    {
                        "line": bad.line,
                        "id": bad.id,
                        "field": bad.field,
                        "code": bad.code,
                        "problem": bad.problem,
                    }
                    for bad in report.refused
                ],
            }
        )
    for bad in report.refused:
        say(f"line {bad.line}: {bad.code or bad.field}: {bad.problem}")
    say(
        f"{len(report.accepted)} {done}, {len(report.known)} known already, "
        f"{len(report.refused)} refused"
    )
    if report.refused:
        raise typer.Exit(Exit.PARTLY)


@desk.command()
def evidence(
    context: typer.Context,
    id: IdArgument,
    role: Annotated[str, typer.Option("--role", help="supplier, borrower or pickup.")],
    reason: ReasonOption,
    item: Annotated[str | None, typer.Option("--item")] = None,
    request: Annotated[str | None, typer.Option("--request")] = None,
    loan: Annotated[str | None, typer.Option("--loan")] = None,
) -> None:
    """State what an external library saw."""
    from reconciler.core.model import TransactionId
    from reconciler.core.status import Resource, Role
    from reconciler.engine.desk import (
        ITEM_WORDS,
        LOAN_WORDS,
        REQUEST_WORDS,
        BadRequest,
        Statement,
    )

    given = (
        (Resource.ITEM, item, ITEM_WORDS),
        (Resource.REQUEST, request, REQUEST_WORDS),
        (Resource.LOAN, loan, LOAN_WORDS),
    )
    words = {
        resource: known_word(f"--{resource}", word, [str(each) for each in known])
        for resource, word, known in given
        if word is not None
    }
    if not words:
        raise typer.BadParameter("say at least one of --item, --request, --loan")
    known_role = Role(known_word("--role", role, [str(each) for each in Role]))
    with opened(context) as app:
        try:
            app.desk.evidence(TransactionId(id), Statement(known_role, words, reason), actor())
        except BadRequest as error:
            raise typer.BadParameter(str(error)) from None
    told = ", ".join(f"{resource} {word}" for resource, word in words.items())
    say(f"{id}: {role} said: {told}; it is looked at next")


@desk.command("list")
def list_command(
    context: typer.Context,
    status: StatusOption = None,
    tenant: TenantOption = None,
    parked: ParkedOption = False,
    stuck: StuckOption = False,
    counts: Annotated[bool, typer.Option("--counts", help="Only how many in each status.")] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """The transactions."""
    with opened(context) as app:
        filter = filter_of(app, status, tenant, parked=parked)
        if counts:
            found = app.desk.counts(filter, stuck=stuck)
            lines = [{"status": name, "count": n} for name, n in found.items()]
            document = {"counts": found, "total": sum(found.values())}
            put_rows(lines, ("status", "count"), output, document)
            return
        rows = app.desk.list(filter, stuck=stuck)
        put_rows(rows, LIST_COLUMNS, output, {"transactions": rows, "total": len(rows)})
        tell_pauses(app)
        tell_rests(app)
        if output is Format.TABLE:
            say(f"{len(rows)} {'stuck ' if stuck else ''}transactions; {looked_at(app)}")


@desk.command()
def show(context: typer.Context, id: IdArgument, output: OutputOption = Format.TABLE) -> None:
    """One transaction, whole."""
    from reconciler.cli.record import tell_transaction
    from reconciler.core.model import TransactionId

    with opened(context) as app:
        document = app.desk.show(TransactionId(id))
    put_document(document, output, tell_transaction)


@desk.command()
def history(context: typer.Context, id: IdArgument, output: OutputOption = Format.TABLE) -> None:
    """Everything that happened to a transaction."""
    from reconciler.cli.record import HISTORY_COLUMNS, history_row
    from reconciler.core.model import TransactionId

    with opened(context) as app:
        document = app.desk.history(TransactionId(id))
    if output in (Format.JSON, Format.JSONL):
        put_rows(document["history"], (), output, document)
    else:
        rows = [history_row(row) for row in document["history"]]
        put_rows(rows, HISTORY_COLUMNS, output, document)


@desk.command()
def explain(context: typer.Context, id: IdArgument, output: OutputOption = Format.TABLE) -> None:
    """What we believe of a transaction, why it stands where it stands, and what to do."""
    from reconciler.cli.record import tell_explanation
    from reconciler.core.model import TransactionId

    with opened(context) as app:
        document = app.desk.explain(TransactionId(id))
        document["resting"] = _resting(app, TransactionId(id))
    put_document(document, output, tell_explanation)


def _resting(app: App, id: TransactionId) -> list[dict[str, object]]:
    """Which of a transaction's libraries are not called at present, and why."""
    from reconciler.engine.quota_views import not_open, standing_view

    theirs = {leg.host_lms for leg in app.store.get(id).legs}
    found = not_open(app.quotas.standings())
    return [standing_view(code, each) for code, each in found.items() if code in theirs]


def put_document(
    document: dict[str, object], output: Format, tell: Callable[[dict[str, object]], None]
) -> None:
    if output is Format.TABLE:
        tell(document)
    elif output is Format.JSON:
        put_json(document)
    else:
        put_rows([document], tuple(document), output, document)
