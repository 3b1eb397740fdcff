"""Field by field against payloads recorded from real Almas.

Every key the sandbox emits stands in some recording of that kind with the same JSON type, and
every key that all recordings of the style share is emitted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.sandbox.conftest import Alma

FIXTURES = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures"

pytestmark = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason=f"the recorded payloads are not here ({FIXTURES})"
)

Shapes = dict[str, set[str]]


@dataclass
class Kind:
    """Recordings by file pattern. `rows` is the key of a list of such things, if listed."""

    rows: str
    old: list[str]
    new: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    documented: set[str] = field(default_factory=set)


KINDS = {
    "item": Kind(
        "item",
        old=[
            "items/pulibrary__item-*2021.json",
            "items/pulibrary__items-*.json",
            "items/scriptotek__*.json",
            "items/mlibrary__*2022.json",
            "items/tulibraries__item-scan-in-ok.json",
            "items/tulibraries__items-*.json",
            "items/upenn*.json",
        ],
        new=["items/kb-dk__*.json", "items/pulibrary__*2026.json"],
        samples=["items/ExLibris*.json", "items/thegetty*.json", "items/mlibrary__*apiguest.json"],
        documented={
            "item_data.due_date",  # expand=due_date (5.1)
            "item_data.reshelving_time",  # with awaiting_reshelving (5.1)
        },
    ),
    "request": Kind(
        "user_request",
        old=["requests/mlibrary__list-*.json"],
        new=["requests/tulibraries__create*.json", "requests/upenn*.json"],
        samples=["requests/BIBSYSDEV__docsample*.json", "requests/kb-dk__*.json"],
    ),
    "loan": Kind(
        "item_loan",
        old=["loans/mlibrary__list-*-2018.json", "loans/mlibrary__list-c*", "loans/mlibrary__re*"],
        new=["loans/upenn*.json"],
        samples=["loans/thegetty*.json", "loans/mlibrary__list-page-0.json"],
        # XSD-loan: no recording of a returned loan exists (4.1)
        documented={"return_date", "return_circ_desk.value", "return_circ_desk.desc"},
    ),
    "user": Kind("user", old=["users/mlibrary__user-a*", "users/pu*", "users/BIB*", "users/ds*"]),
    "bib": Kind(
        "bib",
        old=["bibs/scriptotek__bib-get-2018.json", "bibs/pulibrary__*.json"],
        documented={"requests.link"},  # recorded for 0 requests only (2.2, 8)
    ),
    "holding": Kind(
        "holding",
        old=["holdings/*-2018.json", "holdings/*-2020.json", "holdings/pulibrary__*-2021.json"],
        new=["holdings/kb-dk__*.json", "holdings/*newshape.json"],
    ),
    "library": Kind("library", old=["conf/*__librar*.json"]),
    "location": Kind("location", old=["conf/*__location*.json"]),
    "requested_resource": Kind(
        "requested_resource",
        old=["tasklists/*requested-resources.json"],
        documented={"resource_metadata.isbn"},  # null in the one recording
    ),
    "error": Kind("error", old=["errors/*_40*.json", "errors/*_60107*", "errors/*INTERNAL*"]),
}


def recorded(patterns: list[str], rows: str) -> list[Any]:
    found = []
    for pattern in patterns:
        paths = sorted(FIXTURES.glob(pattern))
        assert paths, f"no recording {pattern}"
        for path in paths:
            document = json.loads(path.read_text(encoding="utf-8"))
            listed = document.get(rows)
            found += listed if isinstance(listed, list) else [document]
    return [row for row in found if row.get("request_type", "HOLD") in ("HOLD", "WORK_ORDER")]


def shapes(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(`item_data.barcode`, `str`) for every key; list elements share their list's path."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            here = f"{path}.{key}" if path else key
            yield here, type(value).__name__
            yield from shapes(value, here)
    elif isinstance(tree, list):
        for value in tree:
            yield from shapes(value, path)


def collect(rows: list[Any]) -> Shapes:
    types: Shapes = {}
    for row in rows:
        for path, kind in shapes(row):
            types.setdefault(path, set()).add(kind)
    return types


NEW_USER = {
    "record_type": {"value": "PUBLIC"},
    "primary_id": "other",
    "first_name": "Other",
    "last_name": "Reader",
    "account_type": {"value": "INTERNAL"},
    "status": {"value": "ACTIVE"},
    "user_group": {"value": "UNDERGRAD"},
    "contact_info": {
        "address": [
            {
                "line1": "1 Example Street",
                "city": "Exampletown",
                "preferred": True,
                "address_type": [{"value": "home", "desc": "Home"}],
            }
        ],
        "email": [
            {
                "email_address": "patron@example.org",
                "preferred": True,
                "email_type": [{"value": "personal", "desc": "Personal"}],
            }
        ],
    },
}


def exhibits(uni_a: Alma) -> dict[str, list[Any]]:
    """The sandbox's own payloads of each kind, in as many states as recordings show."""
    staff = uni_a.institution
    bib = staff.add_bib(
        "Bananboken",
        "Vollset, K.",
        isbn="8247806290",
        numbers=["(NO-TrBIB)092093302"],
        place="[Oslo]",
        publisher="Gyldendal",
        year="2000",
    )
    holding = staff.add_holding(bib.mms_id, "MAIN", "STACKS")
    staff.add_item(holding.holding_id, "SHELF", policy="REGULAR")
    staff.add_item(holding.holding_id, "LOANED", policy="REGULAR")
    for barcode in ("REQUESTED", "TRANSIT", "HELD", "QUEUED", "ORDERED", "TEMPORARY"):
        staff.add_book(barcode, barcode, "MAIN", "STACKS", "Author, An")
    requests = [staff.place_hold("local-1", "REQUESTED", "MAIN", "for me").request_id]
    requests += [staff.place_hold("local-1", "TRANSIT", "BRANCH").request_id]
    requests += [staff.place_hold("local-1", "HELD", "MAIN").request_id]
    scanned = [
        uni_a.scan("TRANSIT", "MAIN"),
        uni_a.scan("HELD", "MAIN"),
        uni_a.scan("A0001", "MAIN"),
    ]
    loan = staff.loan("LOANED", "local-1", "MAIN")
    created_loan = uni_a.lend("local-1", "QUEUED")
    uni_a.post("/users", NEW_USER)
    requests += [staff.place_hold("other", "QUEUED", "MAIN").request_id]
    requests += [staff.place_hold("other", "SHELF", "MAIN", title_level=True).request_id]
    requests += [staff.work_order("ORDERED").request_id]
    staff.move_item("TEMPORARY", "BRANCH", "OPEN")
    staff.block_user("other")
    staff.loan("A0003", "local-1", "MAIN")
    returned = staff.loan("A0002", "local-1", "MAIN")
    staff.return_item("A0002", "MAIN")
    renewed = uni_a.post(f"/users/local-1/loans/{loan.loan_id}", None, op="renew")
    staff.claim_returned("A0003")
    barcodes = ("SHELF", "REQUESTED", "TRANSIT", "HELD", "LOANED", "ORDERED", "TEMPORARY")
    desk = {"library": "MAIN", "circ_desk": "DEFAULT_CIRC_DESK"}
    users = [
        uni_a.get(f"/users/{one}", expand=x)
        for one in ("local-1", "other")
        for x in ("", "loans,requests,fees")
    ]
    errors = [
        uni_a.call("GET", "/users/nobody").json(),
        uni_a.call("GET", "/items", params={"item_barcode": "NONE"}).json(),
    ]
    return {
        "item": [uni_a.get(uni_a.item_path(one), expand="due_date") for one in barcodes] + scanned,
        "request": [uni_a.get(f"/users/ALL/requests/{one}") for one in requests],
        "loan": uni_a.get("/users/local-1/loans", limit=100)["item_loan"]
        + [created_loan, renewed, uni_a.get(f"/users/local-1/loans/{returned.loan_id}")],
        "user": users,
        "bib": [
            uni_a.get(f"/bibs/{bib.mms_id}"),
            *uni_a.get("/bibs", mms_id=bib.mms_id, expand="p_avail,requests")["bib"],
        ],
        "holding": [uni_a.get(f"/bibs/{bib.mms_id}/holdings/{holding.holding_id}")],
        "library": uni_a.get("/conf/libraries")["library"],
        "location": uni_a.get("/conf/libraries/MAIN/locations")["location"],
        "requested_resource": uni_a.get("/task-lists/requested-resources", **desk)[
            "requested_resource"
        ],
        "error": errors,
    }


def compare(name: str, kind: Kind, style: str, rows: list[Any]) -> tuple[int, int, int, list[str]]:
    chosen = recorded(kind.new if style == "new" and kind.new else kind.old, kind.rows)
    known = collect(recorded(kind.old + kind.new + kind.samples, kind.rows))
    emitted = collect(rows)
    wrong = [
        f"{name}/{style}: {path} is {types}, recorded {known.get(path, 'nowhere')}"
        for path, types in emitted.items()
        if path not in kind.documented and not types <= known.get(path, set())
    ]
    shared = set.intersection(*({path for path, _ in shapes(row)} for row in chosen))
    if style == "new" and not kind.new:
        nullable = {path for path, types in known.items() if "NoneType" in types}
        shared -= nullable
    wrong += [f"{name}/{style}: {path} is never emitted" for path in sorted(shared - set(emitted))]
    return len(chosen), len(emitted), len(shared), wrong


@pytest.mark.parametrize("style", ["new", "old"])
def test_payloads_have_the_recorded_fields(style: str, uni_a: Alma) -> None:
    uni_a.institution.dialect.update(style=style)
    shown = exhibits(uni_a)
    wrong: list[str] = []
    print(f"\n{'kind':20}{'style':7}{'recordings':>12}{'ours':>6}{'keys':>6}{'shared':>8}")
    for name, kind in KINDS.items():
        recordings, keys, shared, problems = compare(name, kind, style, shown[name])
        print(f"{name:20}{style:7}{recordings:12}{len(shown[name]):6}{keys:6}{shared:8}")
        wrong += problems
    assert not wrong, "\n".join(wrong)


XML_KINDS: dict[str, tuple[list[str], str, Callable[[Alma], str]]] = {
    "request": (
        ["requests/BIBSYSDEV__xml-in-transit.xml", "requests/emory-libraries__list-xml*.xml"],
        "user_request",
        lambda _alma: "/users/local-1/requests",
    ),
    "item": (["items/emory-libraries__*.xml"], "item", lambda alma: alma.item_path("A0001")),
    "bib": (
        ["bibs/BIBSYSDEV__bib-xml.xml"],
        "bib",
        lambda alma: f"/bibs/{alma.item('A0001').mms_id}",
    ),
    "holding": (
        ["holdings/scriptotek__holding-get-2018.xml"],
        "holding",
        lambda alma: f"/bibs/{alma.item('A0001').mms_id}/holdings/{alma.item('A0001').holding_id}",
    ),
    "location": (
        ["conf/NatLibFi__locations-xml.xml"],
        "location",
        lambda _alma: "/conf/libraries/MAIN/locations",
    ),
}


def xml_rows(text: str, tag: str) -> list[Any]:
    root = ElementTree.fromstring(text)  # noqa: S314
    return [root] if root.tag == tag else root.findall(tag)


def xml_paths(element: Any, path: str = "") -> Iterator[str]:
    """`request_sub_type`, `request_sub_type@desc`, ...; the MARC inside is left out."""
    for name in element.attrib:
        yield f"{path}@{name}"
    for child in element:
        if child.tag != "record":
            here = f"{path}/{child.tag}"
            yield here
            yield from xml_paths(child, here)


@pytest.mark.parametrize("name", XML_KINDS)
def test_xml_has_the_recorded_elements(name: str, uni_a: Alma) -> None:
    patterns, tag, address = XML_KINDS[name]
    uni_a.institution.place_hold("local-1", "A0001", "BRANCH")
    uni_a.scan("A0001", "MAIN")
    response = uni_a.call("GET", address(uni_a), headers={"accept": "application/xml"})
    ours = [set(xml_paths(row)) for row in xml_rows(response.text, tag)]
    theirs = [
        set(xml_paths(row))
        for pattern in patterns
        for path in sorted(FIXTURES.glob(pattern))
        for row in xml_rows(path.read_text(encoding="utf-8"), tag)
    ]
    shared = set.intersection(*theirs)
    common = {path for path in shared if not path.startswith(("/network_numbers", "/linked"))}
    print(f"\n{name}: {len(theirs)} recorded, {len(common)} shared paths, {len(ours)} of ours")
    assert ours
    assert theirs
    assert common - set.union(*ours) <= DERIVED_FROM_SENT.get(name, set())


DERIVED_FROM_SENT = {
    "bib": {"/place_of_publication", "/date_of_publication", "/publisher_const"},
    "item": {
        "/bib_data/place_of_publication",
        "/bib_data/date_of_publication",
        "/bib_data/publisher_const",
        "/bib_data/network_numbers",
        "/bib_data/network_numbers/network_number",
        "/item_data/policy@desc",
        "/item_data/due_date_policy",
        "/bib_data/isbn",
    },
}
