"""`submit`: new requests, checked before anything is written, then placed by their intents.

Contract: interface.md §4.2. Every refusal has a stable code and a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from loguru import logger

from reconciler.core.commands.placing import (
    LibraryConfig,
    Placing,
    Refusal,
    choose_workflow,
)
from reconciler.core.effects import PLACE_AT_SUPPLIER, is_cleared, wanted
from reconciler.core.model import (
    HistoryEntry,
    HostLmsCode,
    Leg,
    Policy,
    Transaction,
    TransactionId,
)
from reconciler.core.status import DcbStatus, HistoryKind, Role, Workflow
from reconciler.core.transitions import SUBMIT_NEXT_SUPPLIER
from reconciler.engine.desk import IntakeReport
from reconciler.engine.intake import home_tenant
from reconciler.engine.lines import BadLine, Line, read_lines
from reconciler.engine.observe import Readers
from reconciler.engine.placing_lines import ItemPart, PatronPart, PickupPart, placing
from reconciler.engine.preflight import Preflight
from reconciler.engine.settling import Recorder
from reconciler.engine.telling import Herald
from reconciler.errors import UnknownTransaction
from reconciler.ports.store import Store
from reconciler.ports.written import Entrance
from reconciler.wording import did_you_mean

COLLECTED_AS_A_STRANGER = frozenset({Workflow.PICKUP_ANYWHERE, Workflow.EXPEDITED})
"""The desk that hands the book out knows the reader only as a virtual patron."""

NOTHING_TO_SCAN = "the reader has no card number: the pickup desk has nothing to scan"


class SubmitLine(Line):
    patron: PatronPart
    item: ItemPart
    pickup: PickupPart
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A line that brings nothing new: the same request was submitted before."""

    id: TransactionId


@dataclass(frozen=True, slots=True)
class Submissions:
    readers: Readers
    policy: Policy
    configs: Mapping[HostLmsCode, LibraryConfig]
    recorder: Recorder
    herald: Herald
    store: Store
    actor: str

    async def take(self, lines: Iterable[bytes], now: datetime, report: IntakeReport) -> None:
        """Store what each line brings in, or say in the report why it is refused.

        A line is judged anew when somebody else has written the same request meanwhile: what he
        asked for may be another book.
        """
        for number, line in read_lines(lines, SubmitLine):
            while not self._taken(await self._judged(number, line, now), report):
                pass

    async def _judged(
        self, number: int, line: SubmitLine | BadLine, now: datetime
    ) -> Entrance | Known | BadLine:
        """What a line brings in, or why it is refused. Reads libraries, writes nowhere."""
        if isinstance(line, BadLine):
            return line
        unknown = self._unknown_host(line)
        if unknown is not None:
            return BadLine(number, unknown[0], unknown[1], line.id)
        result = await self._entrance(line, now)
        if isinstance(result, Refusal):
            return BadLine(number, "line", result.sentence, line.id, result.code)
        return result

    def _taken(self, result: Entrance | Known | BadLine, report: IntakeReport) -> bool:
        """Whether it is dealt with; False when the request has moved on since it was judged."""
        if isinstance(result, BadLine):
            report.refused.append(result)
            return True
        if isinstance(result, Known):
            report.known.append(result.id)
            return True
        if result.replaces is None:
            written = self.store.add(result)
        else:
            written = self.store.reopen(result, result.replaces)
        if written:
            report.accepted.append(result.transaction.id)
        return written

    async def _entrance(self, line: SubmitLine, now: datetime) -> Entrance | Known | Refusal:
        before = self._stored(TransactionId(line.id))
        if before is not None:
            again = self._asked_before(before, line)
            if again is not None:
                return again
        entrance = await self._checked(line, now)
        if before is None or isinstance(entrance, Refusal):
            return entrance
        return self._next_supplier(entrance, before, now)

    # --- a request that is known -----------------------------------------------

    def _stored(self, id: TransactionId) -> Transaction | None:
        try:
            return self.store.get(id)
        except UnknownTransaction:
            return None

    def _asked_before(self, before: Transaction, line: SubmitLine) -> Known | Refusal | None:
        """Known, refused, or None where another lender may be tried now."""
        item = (line.item.host_lms, line.item.item_pid)
        is_same = item == (before.supplier.host_lms, before.supplier.item_pid)
        tried = {(each.host_lms, each.item_pid) for each in self.store.suppliers_tried(before.id)}
        gave_up = before.status is DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER
        if item in tried or (is_same and gave_up):
            return Refusal("supplier_tried", "this item was asked for before and not supplied")
        if is_same:
            return Known(before.id)
        if not gave_up:
            return Refusal(
                "id_in_use", f"this id is a request for another item, which is {before.status}"
            )
        if not is_cleared(before):
            return Refusal(
                "still_clearing",
                "what was placed for the last lender is not cleared yet; see: reconciler explain "
                f"{before.id}; submit it again then",
            )
        return None

    def _next_supplier(self, entrance: Entrance, before: Transaction, now: datetime) -> Entrance:
        """The same request once more, from the start, with another lender."""
        transaction = replace(
            entrance.transaction,
            created_at=before.created_at,
            previous_status=before.status,
            things=before.things,
        )
        last, new = before.supplier, transaction.supplier
        entry = HistoryEntry(
            now,
            HistoryKind.TRANSITION,
            self.actor,
            source=before.status,
            target=transaction.status,
            rule=SUBMIT_NEXT_SUPPLIER,
            detail=f"not supplied by {last.host_lms} (item {last.item_pid}); next: {new.host_lms}",
        )
        return replace(
            entrance,
            transaction=transaction,
            entry=entry,
            notices=self.herald.notices(transaction, (entry,)),
            replaces=before.version,
        )

    # --- a new one ---------------------------------------------------------------

    async def _checked(self, line: SubmitLine, now: datetime) -> Entrance | Refusal:
        keep_names = self._keeps_names(line)
        given = placing(line.patron, line.item, line.pickup, line.note, keep_names=keep_names)
        workflow = choose_workflow(given)
        if isinstance(workflow, Refusal):
            return workflow
        preflight = Preflight(self.readers, self.policy, self.configs, workflow, now)
        checked = await preflight.check(given)
        if isinstance(checked, Refusal):
            return checked
        transaction = _transaction(TransactionId(line.id), checked, workflow, self.policy, now)
        effects = wanted(PLACE_AT_SUPPLIER, transaction, self.policy)
        detail = f"submitted as {workflow}"
        if workflow in COLLECTED_AS_A_STRANGER and not checked.patron.barcodes:
            logger.bind(transaction=line.id).warning(NOTHING_TO_SCAN)
            detail = f"{detail}; {NOTHING_TO_SCAN}"
        return Entrance(
            transaction,
            HistoryEntry(now, HistoryKind.COMMAND, self.actor, detail=detail),
            checked,
            intents=tuple(self.recorder.intents(effects, asked_by=0)),
        )

    def _unknown_host(self, line: SubmitLine) -> tuple[str, str] | None:
        for name in ("patron", "item", "pickup"):
            code = getattr(line, name).host_lms
            if HostLmsCode(code) not in self.policy.hosts:
                hint = did_you_mean(code, self.policy.hosts)
                return f"{name}.host_lms", f"not a host_lms of the settings; {hint}"
        return None

    def _keeps_names(self, line: SubmitLine) -> bool:
        """Names are kept only where a library that makes a virtual patron shows them."""
        makers = (HostLmsCode(line.item.host_lms), HostLmsCode(line.pickup.host_lms))
        return any(code in self.configs and self.configs[code].show_names for code in makers)


def _transaction(
    id: TransactionId, given: Placing, workflow: Workflow, policy: Policy, now: datetime
) -> Transaction:
    item, patron = given.item, given.patron
    is_local = workflow is Workflow.LOCAL
    supplier = Leg(
        Role.SUPPLIER,
        item.host_lms,
        user_id=patron.user_id if is_local else None,
        mms_id=item.mms_id,
        holding_id=item.holding_id,
        item_pid=item.item_pid,
        item_barcode=item.barcode,
    )
    borrower = None if is_local else Leg(Role.BORROWER, patron.host_lms, user_id=patron.user_id)
    pickup = None
    if workflow is Workflow.PICKUP_ANYWHERE:
        pickup = Leg(Role.PICKUP, given.pickup.host_lms)
    legs = [leg for leg in (supplier, borrower, pickup) if leg is not None]
    return Transaction(
        id=id,
        tenant=home_tenant(legs, policy),
        workflow=workflow,
        status=DcbStatus.RESOLVED,
        status_since=now,
        created_at=now,
        supplier=supplier,
        borrower=borrower,
        pickup=pickup,
        next_poll_at=now,
    )
