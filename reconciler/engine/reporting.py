"""The reports: what stands for too long, and the day. JSON shapes, for the commands to print.

"Nothing to show" differs from "could not look": each says how much is tracked and when anything
was looked at last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.core.model import Transaction
from reconciler.core.staff.advice import advice
from reconciler.core.staff.lateness import due_date, limit
from reconciler.core.stages import live
from reconciler.core.status import IntentState
from reconciler.engine.desk import Desk
from reconciler.engine.views import Json, instant, pause_view
from reconciler.ports.clock import Clock
from reconciler.ports.pauses import Pauses
from reconciler.ports.reports import Filter, Reports

A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Reporting:
    reports: Reports
    pauses: Pauses
    desk: Desk
    clock: Clock

    def stuck(self, filter: Filter) -> Json:
        """`report stuck`: longer in a status than it may, oldest first."""
        now = self.clock.now()
        found = self.desk.matching(filter, stuck=True)
        return {
            "generated_at": instant(now),
            **self.looked_at(),
            "transactions": [self._late(each, now) for each in found],
        }

    def looked_at(self) -> Json:
        """How much is followed, and when anything was looked at last: null when nothing ever."""
        tracked = self.reports.tracked()
        return {
            "tracked": tracked.live,
            "over": tracked.total - tracked.live,
            "last_look_at": instant(tracked.last_look_at),
        }

    def daily(self) -> Json:
        """`report daily`: how all stand now, and what happened in the last 24 hours."""
        now = self.clock.now()
        since = now - A_DAY
        return {
            "generated_at": instant(now),
            "since": instant(since),
            **self.looked_at(),
            "standing": self._standing(),
            "stuck": len(self.desk.matching(Filter(), stuck=True)),
            "paused": [pause_view(each) for each in self.pauses.standing()],
            "transitions": self.reports.moves(since),
            "newly_parked": self._newly_parked(since),
            "effects": self._effects(since),
            "notifications": self.reports.undelivered(),
            "resumed": self._resumed(since),
        }

    def _standing(self) -> list[Json]:
        return [
            {
                "tenant": each.tenant,
                "status": each.status,
                "transactions": each.transactions,
                "parked": each.parked,
                "failed_reads": each.failing,
            }
            for each in self.reports.standing()
        ]

    def _newly_parked(self, since: datetime) -> list[Json]:
        return [
            {
                "id": each.id,
                "at": instant(each.at),
                "reason": each.reason,
                "detail": each.detail,
                "still_parked": each.is_parked,
            }
            for each in self.reports.parkings(since)
        ]

    def _effects(self, since: datetime) -> Json:
        """Refused are also those that a person is waited for."""
        effects = self.reports.effects(since)
        return {
            "done": effects[IntentState.DONE],
            "refused": effects[IntentState.REFUSED] + effects[IntentState.PARKED],
            "ambiguous": effects[IntentState.AMBIGUOUS],
        }

    def _resumed(self, since: datetime) -> list[Json]:
        """Pauses of libraries and of everything that were ended since then."""
        return [
            {
                **pause_view(each.pause),
                "ended_at": instant(each.ended_at),
                "ended_by": each.actor,
                "end_reason": each.reason,
            }
            for each in self.reports.pauses(since)
        ]

    def _late(self, transaction: Transaction, now: datetime) -> Json:
        allowed = limit(transaction, self.desk.too_long)
        if allowed is None:
            raise AssertionError("what is over is never late")
        parked = transaction.parked
        borrower, pickup = transaction.borrower, transaction.pickup
        return {
            "id": transaction.id,
            "status": transaction.status,
            "status_since": instant(transaction.status_since),
            "days": (now - transaction.status_since).days,
            "allowed": allowed.rule,
            "late_since": instant(allowed.until),
            "due_at": instant(due_date(transaction)),
            "parked": parked.reason if parked else None,
            "paused": bool(transaction.paused),
            "supplier": transaction.supplier.host_lms,
            "borrower": borrower.host_lms if borrower else None,
            "pickup": pickup.host_lms if pickup else None,
            "staff": self._staff(transaction, now),
        }

    def _staff(self, transaction: Transaction, now: datetime) -> str:
        """What parks or pauses it comes first: until that is seen to nothing else helps."""
        if transaction.parked or transaction.paused:
            return advice(transaction, now)
        return live(transaction.status).when_late
