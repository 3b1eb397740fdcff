"""The ids: Alma's own text, distinct types (they do not fit a JSON number without loss)."""

from __future__ import annotations

from typing import NewType

TransactionId = NewType("TransactionId", str)
HostLmsCode = NewType("HostLmsCode", str)
MmsId = NewType("MmsId", str)
HoldingId = NewType("HoldingId", str)
ItemPid = NewType("ItemPid", str)
RequestId = NewType("RequestId", str)
LoanId = NewType("LoanId", str)
UserId = NewType("UserId", str)
Barcode = NewType("Barcode", str)
LibraryCode = NewType("LibraryCode", str)
LocationCode = NewType("LocationCode", str)
DeskCode = NewType("DeskCode", str)
