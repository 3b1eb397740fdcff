"""One transaction, its history and its explanation, as a librarian reads them."""

from __future__ import annotations

from typing import Any

from reconciler.cli.output import put

Json = dict[str, Any]

HISTORY_COLUMNS = ("seq", "at", "kind", "what", "rule", "inferred", "actor", "evidence")
_LEGS = ("supplier", "borrower", "pickup")
_WORDS = ("item", "request", "loan")
_IDS = ("user_id", "request_id", "mms_id", "holding_id", "item_pid", "item_barcode", "loan_id")


def tell_transaction(document: Json) -> None:
    """`show` for people."""
    put(f"{document['id']}  {document['status']}  ({document['workflow']})")
    since = f"since {document['status_since']}"
    if document["previous_status"]:
        since += f", before that {document['previous_status']}"
    put(f"  {since}")
    for label, key in (("next expected", "next_expected"), ("outcome", "outcome")):
        if document[key]:
            put(f"  {label}: {document[key]}")
    if document["parked"]:
        parked = document["parked"]
        put(f"  PARKED since {parked['since']}: {parked['reason']}: {parked['detail']}")
    if document["paused"]:
        put(f"  {_paused(document['paused'])}")
    put(f"  last look {document['last_poll_at'] or 'never'}, next {document['next_poll_at']}")
    for role in _LEGS:
        if document[role] is not None:
            _tell_leg(role, document[role])
    for effect in document["effects"]:
        put(f"  effect {_effect(effect)}")
    for thing in document["things"]:
        ids = "  ".join(f"{name}={thing[name]}" for name in _IDS if thing.get(name))
        whose = "" if thing["owned"] else ", not ours"
        put(f"  made {thing['kind']} at {thing['host_lms']}: {thing['state']}{whose}  {ids}")
    for tried in document["suppliers_tried"]:
        put(f"  not supplied by {tried['host_lms']} (item {tried['item_pid']})")


def _effect(effect: Json) -> str:
    """One effect in a line: where, how it stands, why, and when it is tried again."""
    told = f"{effect['kind']} at {effect['host_lms']} ({effect['role']}): {effect['state']}"
    if effect["last_error"]:
        told += f": {effect['last_error']}"
    if effect["tracking_id"]:
        told += f" (tracking id {effect['tracking_id']})"
    if effect["next_attempt_at"]:
        told += f"; tried again at {effect['next_attempt_at']}"
    return told


def _paused(pause: Json) -> str:
    what = {"transaction": "", "tenant": f" with all of {pause['tenant']}", "all": " with all"}
    told = f"PAUSED{what[pause['scope']]} since {pause['since']}"
    return f"{told} by {pause['actor']}: {pause['reason']}"


def _tell_leg(role: str, leg: Json) -> None:
    put(f"\n  {role} at {leg['host_lms']}")
    ids = "  ".join(f"{name}={leg[name]}" for name in _IDS if leg[name])
    put(f"    {ids or 'no ids yet'}")
    for word in _WORDS:
        sight = leg[word]
        if sight["state"] is not None:
            raw = f" ({sight['raw']})" if sight["raw"] not in (None, sight["state"]) else ""
            put(f"    {word:<8}{sight['state']}{raw}, seen {sight['seen_at']}")
        if sight["failure"]:
            put(
                f"    {word:<8}not readable at {sight['failure']['at']}: "
                f"{sight['failure']['reason']}"
            )
    if leg["record_state"]:
        put(f"    our record: {leg['record_state']}")


def history_row(row: Json) -> Json:
    """A history row with its parts in words."""
    what = row["detail"] or ""
    if row["kind"] == "transition":
        what = f"{row['from']} → {row['to']}"
    if row["reason"]:
        what = f"{what}: {row['reason']}" if what else row["reason"]
    return {
        **row,
        "what": what,
        "rule": row["rule"] or "",
        "inferred": "inferred" if row["inferred"] else "",
        "evidence": ", ".join(_evidence(each) for each in row["evidence"]),
    }


def tell_explanation(document: Json) -> None:
    """`explain` for people."""
    put(f"{document['id']}  {document['status']}")
    put(f"  {document['believes']}")
    if document["parked"]:
        parked = document["parked"]
        put(f"  It waits for a person: {parked['reason']}: {parked['detail']}")
    if document["paused"]:
        put(f"  {_paused(document['paused'])}")
    put("\n  Rules considered at the last look:")
    if not document["rules"]:
        put(
            "    none yet: it has not been looked at" if document["next_look"]["at"] else "    none"
        )
    for rule in document["rules"]:
        evidence = ", ".join(_evidence(each) for each in rule["evidence"])
        put(f"    {rule['rule']}: {rule['verdict']}, {rule['because']}")
        if evidence:
            put(f"      saw {evidence}")
    for failure in document["failures"]:
        where = f"{failure['role']} {failure['resource']} at {failure['host_lms']}"
        put(f"  Could not be read: {where}: {failure['reason']} ({failure['at']})")
    for effect in document["pending_effects"]:
        put(f"  Still to be done: {_effect(effect)}")
    for rest in document["resting"]:
        put(
            f"  {rest['host_lms']} is not called at present: {rest['state']}: {rest['reason']}; "
            f"next probe at {rest['next_probe_at']}"
        )
    look = document["next_look"]
    if look["at"]:
        reads = ", ".join(look["reads"]) or "nothing at a library"
        put(f"\n  Next look {look['at']}: {reads}.")
    put(f"  Staff: {document['staff']}")


def _evidence(evidence: Json) -> str:
    raw = f" ({evidence['raw']})" if evidence["raw"] not in (None, evidence["state"]) else ""
    return f"{evidence['role']} {evidence['resource']} {evidence['state']}{raw}"
