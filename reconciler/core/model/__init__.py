"""The values that a decision is made from and made of: frozen, without I/O.

`Transaction` is our snapshot, `Observation` is what one look showed, `Decision` is what follows.
Instants are aware UTC. Ids are Alma's own text.

Each file is one floor: `ids` and `readings` (what Alma said), `transaction` (what we remember),
`policy` (what the settings say), `decision` (what follows). They are imported from here.
"""

from __future__ import annotations

from reconciler.core.model.decision import (
    Action,
    Change,
    Decision,
    Effect,
    HistoryEntry,
    Hop,
    TakenOver,
)
from reconciler.core.model.ids import (
    Barcode,
    DeskCode,
    HoldingId,
    HostLmsCode,
    ItemPid,
    LibraryCode,
    LoanId,
    LocationCode,
    MmsId,
    RequestId,
    TransactionId,
    UserId,
)
from reconciler.core.model.policy import HostPolicy, Policy
from reconciler.core.model.readings import (
    NOT_OBSERVED,
    AnySeen,
    BibGlance,
    BibSight,
    HoldingSight,
    ItemSight,
    LegObservation,
    LoanSight,
    Observation,
    Read,
    ReadKind,
    RequestSight,
    Seen,
    SeenKind,
    UserSight,
)
from reconciler.core.model.stage import Closing, LightRead, Live, Pace, SideRead, Stage
from reconciler.core.model.transaction import (
    Evidence,
    Intent,
    Leg,
    Parked,
    Pause,
    Remembered,
    RuleVerdict,
    Thing,
    Transaction,
)

__all__ = [
    "NOT_OBSERVED",
    "Action",
    "AnySeen",
    "Barcode",
    "BibGlance",
    "BibSight",
    "Change",
    "Closing",
    "Decision",
    "DeskCode",
    "Effect",
    "Evidence",
    "HistoryEntry",
    "HoldingId",
    "HoldingSight",
    "Hop",
    "HostLmsCode",
    "HostPolicy",
    "Intent",
    "ItemPid",
    "ItemSight",
    "Leg",
    "LegObservation",
    "LibraryCode",
    "LightRead",
    "Live",
    "LoanId",
    "LoanSight",
    "LocationCode",
    "MmsId",
    "Observation",
    "Pace",
    "Parked",
    "Pause",
    "Policy",
    "Read",
    "ReadKind",
    "Remembered",
    "RequestId",
    "RequestSight",
    "RuleVerdict",
    "Seen",
    "SeenKind",
    "SideRead",
    "Stage",
    "TakenOver",
    "Thing",
    "Transaction",
    "TransactionId",
    "UserId",
    "UserSight",
]
