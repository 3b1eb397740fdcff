"""A loan (alma-api.md 4.1, A4-A6)."""

from __future__ import annotations

from reconciler.sandbox.payloads.renderer import Renderer, Tree, coded, instant_text, unset
from reconciler.sandbox.records import Loan


def loan_tree(renderer: Renderer, loan: Loan, *, renewable: bool | None = None) -> Tree:
    """`renewable` is shown on create and with expand=renewable only; else null."""
    view, tenant = renderer.view, renderer.tenant
    bib = view.bib(loan.mms_id)
    item = view.item(loan.item_pid)
    holding = view.holding(loan.holding_id)
    user = view.user(loan.user_key)
    library = item.current_library if item is not None else loan.library
    location = item.current_location if item is not None else ""
    policy = item.policy if item is not None else ""
    ids = tenant.dialect.loan_ids
    tree: Tree = {
        "loan_id": loan.loan_id,
        "circ_desk": renderer.desk(loan.library, loan.desk),
        "return_circ_desk": _return_desk(renderer, loan),
        "library": renderer.library(loan.library),
        "user_id": user.primary_id if user is not None else "",
        "item_barcode": loan.barcode,
        "due_date": renderer.due(loan.due_date),
        "loan_status": loan.status,
        "loan_date": instant_text(loan.loan_date),
        "return_date": instant_text(loan.return_date),
        "returned_by": {"value": "" if loan.active else "System", "desc": None, "link": None},
        "process_status": loan.process_status,
        "mms_id": loan.mms_id,
        "holding_id": loan.holding_id if ids else None,
        "item_id": loan.item_pid if ids else None,
        "title": bib.title if bib is not None else None,
        "author": bib.author if bib is not None else None,
        "description": item.texts.get("description") if item is not None else None,
        "publication_year": bib.facts["date_of_publication"] if bib is not None else None,
        "location_code": {"value": location, "name": tenant.location_name(library, location)},
        "item_policy": _policy(renderer, policy),
        "call_number": holding.call_number if holding is not None else None,
        "renewable": renewable,
    }
    tree.update(_renewal(loan))
    return _without_absent(tree)


def _return_desk(renderer: Renderer, loan: Loan) -> Tree:
    if not loan.return_desk:
        return {**unset(), "link": None}
    return renderer.desk(loan.return_library, loan.return_desk)


def _policy(renderer: Renderer, policy: str) -> Tree:
    label = renderer.tenant.describe("ItemPolicy", policy)
    return {"value": policy or None, "description": label if policy else None}


def _renewal(loan: Loan) -> Tree:
    status: Tree = {"value": None, "desc": ""}
    if loan.last_renew_status is not None:
        status = coded(*loan.last_renew_status)
    return {"last_renew_date": instant_text(loan.last_renew_date), "last_renew_status": status}


def _without_absent(tree: Tree) -> Tree:
    for name in ("return_date", "last_renew_date", "holding_id", "item_id", "publication_year"):
        if tree[name] is None:
            del tree[name]
    if tree["call_number"] is None:
        del tree["call_number"]
    del tree["returned_by"]["desc"]
    return tree
