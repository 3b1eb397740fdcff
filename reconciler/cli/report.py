"""`report stuck`, `daily` and `calls`: what a consortium looks at weekly, and every morning."""

from __future__ import annotations

from typing import Any

import typer

from reconciler.cli.output import Format, put, put_rows, say, table
from reconciler.cli.shell import (
    OutputOption,
    ParkedOption,
    StatusOption,
    TenantOption,
    filter_of,
    looked_at,
    opened,
    tell_pauses,
)

report = typer.Typer(help="What takes too long; the day; calls against quota.")

Json = dict[str, Any]

STUCK_COLUMNS = (
    "id", "status", "days", "allowed", "late_since", "parked", "paused", "supplier", "borrower",
    "pickup", "staff",
)  # fmt: skip
STANDING_COLUMNS = ("tenant", "status", "transactions", "parked", "failed_reads")
FIGURE_COLUMNS = ("section", "tenant", "name", "count")


@report.command()
def stuck(
    context: typer.Context,
    status: StatusOption = None,
    tenant: TenantOption = None,
    parked: ParkedOption = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Too long in a status, oldest first, with what staff do."""
    with opened(context) as app:
        document = app.reporting.stuck(filter_of(app, status, tenant, parked=parked))
        rows = document["transactions"]
        if rows or output is not Format.TABLE:
            put_rows(rows, STUCK_COLUMNS, output, document)
        tell_pauses(app)
        say(f"{len(rows)} stuck; {looked_at(app)}")


@report.command()
def daily(context: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """How all stand now, and what happened in the last 24 hours."""
    with opened(context) as app:
        document = app.reporting.daily()
    if output is Format.TABLE:
        _tell(document)
    else:
        put_rows(_figures(document), FIGURE_COLUMNS, output, document)


@report.command()
def calls(context: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """Our calls to each Alma today, what is left for the institution, and our reserve."""
    from reconciler.cli.report_calls import put_calls

    with opened(context) as app:
        put_calls(app, output)


def _tell(document: Json) -> None:
    """The day for people: the whole first, then what needs somebody."""
    last = document["last_look_at"] or "never: nothing has been looked at yet"
    put(f"{document['since']} to {document['generated_at']}")
    put(f"{document['tracked']} followed, {document['over']} over; last look {last}")
    for pause in document["paused"]:
        what = pause["tenant"] or "everything"
        put(f"PAUSED: {what} since {pause['since']} by {pause['actor']}: {pause['reason']}")
    for ended in document["resumed"]:
        what = ended["tenant"] or "everything"
        put(f"resumed: {what} at {ended['ended_at']} by {ended['ended_by']}: {ended['end_reason']}")
    put("")
    table(
        STANDING_COLUMNS,
        ([str(row[name]) for name in STANDING_COLUMNS] for row in document["standing"]),
    )
    moves, effects, notices = (
        document[name] for name in ("transitions", "effects", "notifications")
    )
    put("\nIn the last 24 hours")
    put(f"  transitions: {_listed(moves) or 'none'}")
    put(f"  effects: {_listed(effects)}")
    parked = document["newly_parked"]
    put(f"  newly parked: {len(parked) or 'none'}")
    for row in parked:
        gone = "" if row["still_parked"] else " (not parked any more)"
        put(f"    {row['id']}  {row['reason']}: {row['detail']}{gone}")
    put("\nNow")
    failing = sum(row["failed_reads"] for row in document["standing"])
    put(f"  last look had failed reads: {failing}")
    put(f"  stuck: {document['stuck']}" + ("  (reconciler report stuck)" * bool(document["stuck"])))
    put(f"  notifications not delivered: {_listed(notices)}")


def _listed(counts: Json) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _figures(document: Json) -> list[Json]:
    """The figures as rows, for a spreadsheet."""
    rows = [
        {"section": section, "tenant": row["tenant"], "name": row["status"], "count": row[key]}
        for section, key in (
            ("standing", "transactions"),
            ("parked", "parked"),
            ("failed_reads", "failed_reads"),
        )
        for row in document["standing"]
    ]
    rows += [
        {"section": section, "tenant": None, "name": name, "count": count}
        for section in ("transitions", "effects", "notifications")
        for name, count in document[section].items()
    ]
    rows.append({"section": "stuck", "tenant": None, "name": "all", "count": document["stuck"]})
    return [
        *rows,
        *(
            {"section": "newly_parked", "tenant": None, "name": row["reason"], "count": 1}
            for row in document["newly_parked"]
        ),
    ]
