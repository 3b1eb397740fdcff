"""`--once`, `--dry-run` and `plan`: run, print, and say by the exit code how it went."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace

from reconciler.app import App
from reconciler.cli.exits import Exit, of_calls
from reconciler.cli.output import Format, put, put_json, put_rows, say
from reconciler.cli.shell import tell_pauses
from reconciler.cli.signals import Interruption
from reconciler.core.model import HostLmsCode, TransactionId
from reconciler.core.status import TenantState
from reconciler.engine.cycle import CycleOptions, CycleReport
from reconciler.engine.plan import Prospect, prospects
from reconciler.engine.quota_views import standing_view
from reconciler.engine.reconcile import OutcomeKind
from reconciler.engine.views import Json
from reconciler.ports.leases import Lease
from reconciler.ports.store import Selection
from reconciler.processes import shown

PLAN_COLUMNS = ("id", "from", "to", "rule", "inferred", "because", "effects")


@dataclass(frozen=True, slots=True)
class OnceOptions:
    everything: bool = False
    dry_run: bool = False
    tenant: str | None = None
    ids: tuple[str, ...] = ()
    output: Format = Format.TABLE

    @property
    def cycle(self) -> CycleOptions:
        return CycleOptions(
            everything=self.everything,
            tenants=(HostLmsCode(self.tenant),) if self.tenant else (),
            ids=tuple(TransactionId(id) for id in self.ids),
        )

    @property
    def selection(self) -> Selection:
        return Selection(
            tenant=HostLmsCode(self.tenant) if self.tenant else None,
            ids=tuple(TransactionId(id) for id in self.ids) or None,
            due_only=not (self.everything or self.ids),
        )


async def once(app: App, options: OnceOptions) -> int:
    """One cycle over the selection, printed; libraries that others look after are left to them."""
    if options.dry_run:
        return await dry_run(app, options)
    interruption = Interruption()
    interruption.listen(lambda: None)
    async with app, _kept(app):
        app.libraries.check_keys()
        app.check_tenants()
        tell_pauses(app)
        going_on = replace(options.cycle, may_go_on=lambda _: interruption.number is None)
        report = await app.cycle(going_on)
        document = _report(app, report)
    if options.output is Format.JSON:
        put_json(document)
    else:
        _tell(document)
    _tell_of_others(report)
    if interruption.number is not None:
        return interruption.exit_code
    if report.held_elsewhere and not report.held_here:
        return Exit.HELD_ELSEWHERE
    effects = app.runner.tally
    troubled = bool(
        document["errors"]
        or document["parked"]
        or effects.failed
        or effects.ambiguous
        or report.resting
        or app.dispatcher.tally.dead
    )
    if _nothing_could_be_asked(app, report):
        return Exit.TEMPORARY
    return of_calls(app.libraries.tallies.values(), something_failed=troubled)


def _nothing_could_be_asked(app: App, report: CycleReport) -> bool:
    """Every Alma is out of order, and was before this cycle: not one call was made."""
    down = [each for each in report.resting.values() if each.state is TenantState.OUTAGE]
    called = any(tally.calls for tally in app.libraries.tallies.values())
    return bool(down) and len(down) == len(app.settings.alma_hosts()) and not called


@asynccontextmanager
async def _kept(app: App) -> AsyncIterator[None]:
    """Renew the leases for as long as this lasts."""
    keeping = asyncio.create_task(app.tenure.keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


def _tell_of_others(report: CycleReport) -> None:
    for lease in report.held_elsewhere:
        say(f"{lease.tenant}: looked after by {_owner(lease)}; nothing was done for it here")


def _owner(lease: Lease) -> str:
    return shown(lease.owner) if lease.owner else "another process"


async def dry_run(app: App, options: OnceOptions) -> Exit:
    """What one cycle would do, in the shape of `plan`; nothing is written."""
    found = await _prospects(app, options)
    _put_plan(found, options.output)
    return of_calls(app.libraries.tallies.values(), something_failed=_any_failed(found))


async def plan(app: App, options: OnceOptions, *, detailed_exitcode: bool) -> Exit:
    """What would fire for every live transaction; nothing is written."""
    found = await _prospects(app, options)
    _put_plan(found, options.output)
    went = of_calls(app.libraries.tallies.values(), something_failed=_any_failed(found))
    if went is Exit.DONE and detailed_exitcode and any(each.would_fire for each in found):
        return Exit.WOULD_FIRE
    return went


async def _prospects(app: App, options: OnceOptions) -> list[Prospect]:
    app.keeps_quota = False
    async with app:
        app.libraries.check_keys()
        app.check_tenants()
        tell_pauses(app)
        app.libraries.gates.adopt(app.quotas.standings())
        live = app.store.live(options.selection, app.clock.now())
        return await prospects(app.reconciler, live, everything=options.everything)


def _put_plan(found: list[Prospect], output: Format) -> None:
    rows = [row for each in found for row in each.rows()]
    put_rows(rows, PLAN_COLUMNS, output, {"transactions": rows})
    if output is Format.TABLE:
        movers = sum(bool(each.decision.hops) for each in found)
        actors = sum(each.would_fire and not each.decision.hops for each in found)
        say(
            f"{movers} of {len(found)} transactions would move, {actors} more have something to be "
            "done; nothing was changed"
        )
    for each in found:
        for failure in each.failures:
            say(f"{each.transaction.id}: {failure.role} {failure.read}: {failure.reason}")


def _any_failed(found: list[Prospect]) -> bool:
    return any(each.failures for each in found)


def _report(app: App, report: CycleReport) -> Json:
    """The JSON of a cycle (interface.md §5)."""
    return {
        "cycle_id": report.cycle_id,
        "reconciled": report.reconciled,
        "transitions": _transitions(report),
        "effects": asdict(app.runner.tally),
        "parked": [
            {"id": each.transaction.id, "reason": parked.reason, "detail": parked.detail}
            for each in report.outcomes
            if (parked := each.newly_parked)
        ],
        "errors": _errors(report),
        "notifications": asdict(app.dispatcher.tally),
        "resting": [standing_view(code, each) for code, each in report.resting.items()],
        "alma_calls": {str(code): tally.calls for code, tally in app.libraries.tallies.items()},
        "left_to_others": [
            {"host_lms": lease.tenant, "owner": _owner(lease)} for lease in report.held_elsewhere
        ],
    }


def _transitions(report: CycleReport) -> list[Json]:
    return [
        {
            "id": each.transaction.id,
            "from": hop.source,
            "to": hop.target,
            "rule": hop.rule,
            "inferred": hop.inferred,
        }
        for each in report.outcomes
        if each.decision and each.kind is not OutcomeKind.OVERTAKEN
        for hop in each.decision.hops
    ]


def _errors(report: CycleReport) -> list[Json]:
    errors: list[Json] = []
    for each in report.outcomes:
        if each.reason:
            errors.append({"id": each.transaction.id, "reason": each.reason})
        errors += (
            {
                "id": each.transaction.id,
                "role": failure.role,
                "read": failure.read,
                "host_lms": leg.host_lms if (leg := each.transaction.leg(failure.role)) else None,
                "reason": failure.reason,
            }
            for failure in each.failures
        )
    return errors


def _tell(document: Json) -> None:
    for move in document["transitions"]:
        inferred = " (inferred)" if move["inferred"] else ""
        put(f"{move['id']}  {move['from']} → {move['to']}  {move['rule']}{inferred}")
    for parked in document["parked"]:
        put(f"{parked['id']}  parked: {parked['reason']}: {parked['detail']}")
    for error in document["errors"]:
        where = (
            f"{error['role']} {error['read']} at {error['host_lms']}: " if "role" in error else ""
        )
        say(f"{error['id']}: {where}{error['reason']}")
    for rest in document["resting"]:
        say(
            f"{rest['host_lms']} rests since {rest['since']}: {rest['state']}: {rest['reason']}; "
            f"next probe at {rest['next_probe_at']}"
        )
    calls = ", ".join(f"{code} {n}" for code, n in document["alma_calls"].items()) or "none"
    effects = ", ".join(f"{n} {how}" for how, n in document["effects"].items() if n) or "none"
    say(
        f"{document['reconciled']} looked at, {len(document['transitions'])} transitions, "
        f"effects: {effects}; "
        f"{len(document['parked'])} newly parked, {len(document['errors'])} failed reads; "
        f"Alma calls: {calls}"
    )
