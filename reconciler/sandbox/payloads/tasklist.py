"""The pick-from-shelf list (alma-api.md 8)."""

from __future__ import annotations

from reconciler.sandbox.payloads.renderer import Renderer, Tree, coded
from reconciler.sandbox.records import Item, Request


def resource_tree(renderer: Renderer, item: Item, request: Request) -> Tree:
    """`request[].id` is a task's id, not the one in its link, as recorded."""
    return {
        "location": _location(renderer, item),
        "request": [_request(renderer, request)],
        "resource_metadata": _metadata(renderer, item.mms_id),
    }


def _location(renderer: Renderer, item: Item) -> Tree:
    holding = renderer.view.holding(item.holding_id)
    levels = ("bibs", item.mms_id, "holdings", item.holding_id)
    copy = {
        "alternative_call_number": "",
        "barcode": item.barcode,
        "base_status": coded("1", "Item in place"),
        "link": renderer.link(*levels, "items", item.pid),
        "pid": item.pid,
        "storage_location_id": item.texts.get("storage_location_id", ""),
    }
    return {
        "call_number": holding.call_number if holding is not None else "",
        "copy": [copy],
        "holding_id": {"value": item.holding_id, "link": renderer.link(*levels)},
        "library": renderer.library(item.current_library),
        "shelving_location": item.current_location,
    }


def _request(renderer: Renderer, request: Request) -> Tree:
    user = renderer.view.user(request.user_key)
    user_id = user.primary_id if user is not None else ""
    return {
        "destination": renderer.library(request.pickup_library),
        "id": request.task_id,
        "link": renderer.link("bibs", request.mms_id, "requests", request.request_id),
        "printed": False,
        "reported": request.reported,
        "request_date": renderer.day(request.placed_at),
        "request_sub_type": coded(request.sub_type, "Patron physical item request"),
        "request_type": request.request_type,
        "requester": {
            "value": None,
            "desc": user.full_name if user is not None else "",
            "link": renderer.link("users", user_id),
        },
    }


def _metadata(renderer: Renderer, mms_id: str) -> Tree:
    bib = renderer.view.bib(mms_id)
    if bib is None:
        return {"mms_id": {"value": mms_id, "link": renderer.link("bibs", mms_id)}}
    imprint = {
        "publication_place": bib.facts["place_of_publication"],
        "publication_year": bib.facts["date_of_publication"],
        "publisher": bib.facts["publisher_const"],
    }
    return {
        "author": bib.author,
        "isbn": bib.facts["isbn"],
        "issn": bib.facts["issn"],
        "mms_id": {"value": mms_id, "link": renderer.link("bibs", mms_id)},
        **{name: value for name, value in imprint.items() if value},
        "title": bib.title,
    }
