"""Bibs, holdings and items: creating, changing, removing (alma-api.md 5.3, 5.4, 6)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from reconciler.sandbox.marc import bib_xml, holding_xml
from tests.sandbox.conftest import Alma, code_of

ITEM: dict[str, Any] = {
    "item_data": {
        "barcode": "A0001",
        "physical_material_type": {"value": "BOOK"},
        "policy": {"value": "DCB"},
        "internal_note_1": "[DCB-REQUEST:1]",
    }
}
BIB = bib_xml("Q&A <1>", "Swarup, Vikas", ["(DCB)tx-1"], suppressed="true")


def send_xml(alma: Alma, method: str, path: str, body: str, **query: str) -> httpx.Response:
    headers = {"content-type": "application/xml"}
    return alma.call(method, path, content=body.encode(), headers=headers, params=query)


def make_virtual(alma: Alma, **item: Any) -> tuple[str, str, dict[str, Any]]:
    """mms id, holding id and item as a borrower's service makes them."""
    mms_id = send_xml(alma, "POST", "/bibs", BIB).json()["mms_id"]
    holding = holding_xml("DCB", "DCBVIRTUAL", "virtual")
    path = f"/bibs/{mms_id}/holdings"
    holding_id = send_xml(alma, "POST", path, holding).json()["holding_id"]
    body = {"item_data": ITEM["item_data"] | item}
    return mms_id, holding_id, alma.post(f"{path}/{holding_id}/items", body)


# --- bibs and holdings ----------------------------------------------------------


def test_a_bib_in_xml_and_json(uni_b: Alma) -> None:
    bib = send_xml(uni_b, "POST", "/bibs", BIB).json()
    assert bib["title"] == "Q&A <1>"
    assert bib["author"] == "Swarup, Vikas"
    assert bib["suppress_from_publishing"] == "true"
    assert bib["network_number"] == ["(DCB)tx-1"]
    record = bib["anies"][0]
    assert record.startswith('<?xml version="1.0" encoding="UTF-16"?><record>')
    assert f'<controlfield tag="001">{bib["mms_id"]}</controlfield>' in record
    found = uni_b.get("/bibs", other_system_id="(DCB)tx-1")["bib"]
    assert [one["mms_id"] for one in found] == [bib["mms_id"]]


def test_a_bib_is_created_each_time(uni_b: Alma) -> None:
    for _ in range(2):
        send_xml(uni_b, "POST", "/bibs", BIB)
    assert uni_b.get("/bibs", other_system_id="(DCB)tx-1")["total_record_count"] == 2


def test_bib_bodies_that_are_refused(uni_b: Alma) -> None:
    assert uni_b.refused("POST", "/bibs", {"record": "x"}) == "60105"
    bad = ["<bib><record>", "<holding/>", "<bib/>", '<!DOCTYPE x [<!ENTITY a "b">]><bib>&a;</bib>']
    for body in bad:
        assert code_of(send_xml(uni_b, "POST", "/bibs", body)) == "402209", body
    response = send_xml(uni_b, "POST", "/bibs", BIB, override_warning="false")
    assert code_of(response) == "401873"


def test_the_reply_to_a_new_bib_may_be_xml_only(uni_b: Alma) -> None:
    uni_b.institution.dialect.update(create_bib_reply="xml")
    response = send_xml(uni_b, "POST", "/bibs", BIB)
    assert response.headers["content-type"] == "application/xml;charset=UTF-8"
    assert "<mms_id>99" in response.text


def test_several_bibs_with_availability(uni_a: Alma) -> None:
    first, second = uni_a.item("A0001"), uni_a.item("A0002")
    uni_a.institution.loan("A0002", "local-1", "MAIN")
    uni_a.hold("local-1", "A0001", "BRANCH")
    query = {"mms_id": f"{first.mms_id},{second.mms_id},1", "expand": "p_avail,requests"}
    rows = uni_a.get("/bibs", **query)["bib"]
    assert [row["requests"]["value"] for row in rows] == [1, 0]
    assert '<subfield code="e">available</subfield>' in rows[0]["anies"][0]
    assert '<subfield code="e">unavailable</subfield>' in rows[1]["anies"][0]
    brief = uni_a.get("/bibs", **query, view="brief")["bib"]
    assert "anies" not in brief[0]
    assert uni_a.get("/bibs", mms_id="1") == {"bib": [], "total_record_count": 0}
    many = ",".join(["1"] * 101)
    assert uni_a.refused("GET", "/bibs", mms_id=many) == "402203"


def test_changing_and_removing_a_bib(uni_b: Alma) -> None:
    mms_id, holding_id, item = make_virtual(uni_b)
    changed = send_xml(uni_b, "PUT", f"/bibs/{mms_id}", bib_xml("New title")).json()
    assert (changed["title"], changed["suppress_from_publishing"]) == ("New title", "false")
    assert uni_b.refused("DELETE", f"/bibs/{mms_id}", None, override="perhaps") == "401873"
    assert uni_b.refused("DELETE", f"/bibs/{mms_id}", None, override="true") == "4022020"
    pid = item["item_data"]["pid"]
    uni_b.delete(f"/bibs/{mms_id}/holdings/{holding_id}/items/{pid}")
    assert uni_b.refused("DELETE", f"/bibs/{mms_id}") == "4022020"
    uni_b.delete(f"/bibs/{mms_id}", override="true")
    assert uni_b.refused("DELETE", f"/bibs/{mms_id}") == "402203"
    assert len(uni_b.institution.holdings) == 0


def test_holdings(uni_b: Alma) -> None:
    mms_id, holding_id, item = make_virtual(uni_b)
    path = f"/bibs/{mms_id}/holdings"
    listed = uni_b.get(path)
    assert listed["holding"][0]["library"] == {"value": "DCB", "desc": "Consortial Virtual Library"}
    assert listed["bib_data"]["mms_id"] == mms_id
    moved = send_xml(uni_b, "PUT", f"{path}/{holding_id}", holding_xml("MAIN", "STACKS", "X 1"))
    assert moved.status_code == 200
    assert uni_b.item("A0001").library == "MAIN"
    assert uni_b.refused("DELETE", f"{path}/{holding_id}", None, override="true") == "60214"
    uni_b.delete(f"{path}/{holding_id}/items/{item['item_data']['pid']}")
    uni_b.delete(f"{path}/{holding_id}", bib="delete")
    assert uni_b.get(path) == {"total_record_count": 0}
    assert uni_b.refused("DELETE", f"{path}/{holding_id}") == "402203"
    assert uni_b.refused("GET", f"{path}/{holding_id}") == "402208"


@pytest.mark.parametrize(
    ("library", "location"), [("DCB", "STACKS"), ("NOWHERE", "STACKS"), ("DCB", "")]
)
def test_a_holding_needs_a_library_and_location_that_fit(
    library: str, location: str, uni_b: Alma
) -> None:
    mms_id = send_xml(uni_b, "POST", "/bibs", BIB).json()["mms_id"]
    path = f"/bibs/{mms_id}/holdings"
    response = send_xml(uni_b, "POST", path, holding_xml(library, location, "x"))
    assert code_of(response) == "33008"
    assert code_of(send_xml(uni_b, "POST", path, "<bib/>")) == "402211"
    assert uni_b.refused("POST", path, {}) == "60105"
    assert uni_b.get(path) == {"total_record_count": 0}


# --- items -----------------------------------------------------------------------


def test_a_virtual_item(uni_b: Alma) -> None:
    _, holding_id, item = make_virtual(uni_b)
    data = item["item_data"]
    assert data["barcode"] == "A0001"
    assert data["location"]["value"] == "DCBVIRTUAL"
    assert data["internal_note_1"] == "[DCB-REQUEST:1]"
    assert item["holding_data"]["holding_id"] == holding_id
    assert uni_b.item_state("A0001") == "1/"
    assert int(data["pid"]) > 2**53


def test_a_barcode_redirects_to_the_item(uni_a: Alma) -> None:
    response = uni_a.call("GET", "/items", params={"item_barcode": "A0001", "expand": "due_date"})
    assert (response.status_code, response.content) == (302, b"")
    assert response.headers["location"] == f"{uni_a.http.base_url}/almaws/v1" + uni_a.item_path(
        "A0001"
    )
    followed = uni_a.http.get(response.headers["location"])
    assert followed.json()["item_data"]["barcode"] == "A0001"
    assert uni_a.institution.quota.remaining == uni_a.institution.quota.daily - 2


def test_what_a_redirect_carries_is_a_switch(uni_a: Alma) -> None:
    dialect = uni_a.institution.dialect
    query = {"item_barcode": "A0001", "expand": "due_date"}
    dialect.update(redirect_carries_key=True, redirect_keeps_query=True)
    location = uni_a.call("GET", "/items", params=query).headers["location"]
    assert location.endswith("?expand=due_date&apikey=KEY-uni-a")
    dialect.update(redirect_carries_key=False, links="hostless")
    location = uni_a.call("GET", "/items", params=query).headers["location"]
    assert location.startswith("http://127.0.0.1:")
    assert location.endswith("?expand=due_date")


def test_barcodes_that_lead_nowhere(uni_a: Alma) -> None:
    assert uni_a.refused("GET", "/items", item_barcode="NONE") == "401689"
    assert uni_a.refused("GET", "/items", item_barcode=" ") == "401690"
    uni_a.institution.add_item(uni_a.item("A0001").holding_id, "+F203")
    unencoded = uni_a.call("GET", "/items?item_barcode=+F203")
    assert code_of(unencoded) == "401689"
    assert uni_a.call("GET", "/items?item_barcode=%2BF203").status_code == 302


def test_two_items_with_one_barcode(uni_a: Alma) -> None:
    uni_a.institution.duplicate_barcode("A0002", as_of="A0001")
    assert uni_a.call("GET", "/items", params={"item_barcode": "A0001"}).status_code == 302
    uni_a.institution.dialect.update(duplicate_barcode_lookup="error")
    assert uni_a.refused("GET", "/items", item_barcode="A0001") == "401652"


def test_an_item_is_found_by_its_pid_alone(uni_a: Alma) -> None:
    item = uni_a.item("A0001")
    for path in (
        f"/bibs/{item.mms_id}/holdings/ALL/items/{item.pid}",
        f"/bibs/1/holdings/null/items/{item.pid}",
    ):
        assert uni_a.get(path)["holding_data"]["holding_id"] == item.holding_id
    assert uni_a.refused("GET", f"/bibs/{item.mms_id}/holdings/ALL/items/239") == "401683"
    uni_a.institution.dialect.update(missing_item_code="40166411")
    assert uni_a.refused("GET", f"/bibs/{item.mms_id}/holdings/ALL/items/239") == "40166411"
    uni_a.institution.dialect.update(item_path="strict")
    assert uni_a.refused("GET", f"/bibs/{item.mms_id}/holdings/ALL/items/{item.pid}") == "401683"


def test_item_lists(uni_a: Alma) -> None:
    item = uni_a.item("A0001")
    for number in range(11):
        uni_a.institution.add_item(
            item.holding_id, f"C{number:02d}", texts={"description": f"v.{number}"}
        )
    path = f"/bibs/{item.mms_id}/holdings/ALL/items"
    page = uni_a.get(path)
    assert (len(page["item"]), page["total_record_count"]) == (10, 12)
    assert len(uni_a.get(path, limit=200)["item"]) == 12
    ordered = uni_a.get(path, order_by="description", direction="asc", limit=100)["item"]
    assert ordered[1]["item_data"]["description"] == "v.0"
    assert uni_a.get(path, current_library="BRANCH") == {"total_record_count": 0}
    assert uni_a.refused("GET", path, current_library="NOWHERE") == "402469"
    assert uni_a.refused("GET", f"/bibs/{item.mms_id}/holdings/1/items") == "401688"
    uni_a.institution.dialect.update(unknown_holding_list="empty", limit_over_100="refused")
    assert uni_a.get(f"/bibs/{item.mms_id}/holdings/1/items") == {"total_record_count": 0}
    assert uni_a.refused("GET", path, limit=200) == "40166411"


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("401873", {"barcode": "A0001"}),
        ("401873", {"barcode": "N", "physical_material_type": {"value": "NOPE"}}),
        ("401873", {"barcode": "N", "policy": {"value": "NOPE"}}),
        ("40166404", {"barcode": "N", "public_note": {"value": "x"}}),
    ],
)
def test_items_that_are_refused(code: str, data: dict[str, Any], uni_b: Alma) -> None:
    mms_id, holding_id, _ = make_virtual(uni_b)
    path = f"/bibs/{mms_id}/holdings/{holding_id}/items"
    assert uni_b.refused("POST", path, {"item_data": data}) == code
    assert len(uni_b.institution.items) == 1


def test_an_item_without_barcode_gets_one(uni_b: Alma) -> None:
    mms_id, holding_id, _ = make_virtual(uni_b)
    path = f"/bibs/{mms_id}/holdings/{holding_id}/items"
    assert uni_b.post(path, {"item_data": {}})["item_data"]["barcode"]
    uni_b.institution.dialect.update(generate_barcode=False)
    assert uni_b.post(path, {"item_data": {}})["item_data"]["barcode"] == ""
    nested = {"item_data": {"holding_data": {"copy_id": "9"}}}
    assert uni_b.post(path, nested)["holding_data"]["copy_id"] == ""
    top = {"item_data": {}, "holding_data": {"copy_id": "9"}}
    assert uni_b.post(path, top)["holding_data"]["copy_id"] == "9"


def test_a_put_takes_the_minimal_body_and_swaps(uni_b: Alma) -> None:
    *_, item = make_virtual(uni_b)
    path = uni_b.item_path("A0001")
    full = uni_b.call("PUT", path, json=item)
    assert full.status_code == 500
    assert code_of(full) == "INTERNAL_SERVER_ERROR"
    kept = ("pid", "barcode", "physical_material_type", "policy", "library", "location")
    minimal = {name: item["item_data"][name] for name in kept}
    noted = uni_b.put(path, {"item_data": {**minimal, "fulfillment_note": "do not renew"}})
    assert noted["item_data"]["fulfillment_note"] == "do not renew"
    assert noted["item_data"]["internal_note_1"] == ""
    uni_b.institution.dialect.update(item_put="merge", item_put_full_body="accepted")
    merged = uni_b.put(path, item)["item_data"]
    assert merged["fulfillment_note"] == "do not renew"
    assert merged["internal_note_1"] == "[DCB-REQUEST:1]"


def test_an_item_on_loan_may_refuse_a_put(uni_b: Alma) -> None:
    make_virtual(uni_b)
    uni_b.lend("reader-b1", "A0001", "DCB")
    uni_b.institution.dialect.update(item_put_on_loan="refused")
    body = {"item_data": {"barcode": "A0001"}}
    assert uni_b.refused("PUT", uni_b.item_path("A0001"), body) == "401652"


@pytest.mark.parametrize("why", ["loan", "request"])
def test_items_in_circulation_need_override_to_go(why: str, uni_b: Alma) -> None:
    make_virtual(uni_b)
    path = uni_b.item_path("A0001")
    if why == "loan":
        uni_b.lend("reader-b1", "A0001", "DCB")
    else:
        uni_b.hold("reader-b1", "A0001", "MAIN")
    assert uni_b.refused("DELETE", path) == "401849"
    uni_b.delete(path, override="true", holdings="delete", bib="delete")
    tables = uni_b.institution.state()
    assert not tables["items"]
    assert not tables["holdings"]
    assert not tables["bibs"]
    assert uni_b.get("/users/reader-b1/requests") == {"total_record_count": 0}
    assert uni_b.get("/users/reader-b1/loans") == {"total_record_count": 0}
    assert uni_b.refused("DELETE", path) == "401683"


def test_a_loan_may_resist_override(uni_b: Alma) -> None:
    make_virtual(uni_b)
    uni_b.institution.dialect.update(override_deletes_loaned=False)
    uni_b.lend("reader-b1", "A0001", "DCB")
    path = uni_b.item_path("A0001")
    assert uni_b.refused("DELETE", path, None, override="true") == "401849"


def test_suppressing_instead_of_deleting(uni_b: Alma) -> None:
    mms_id, holding_id, _ = make_virtual(uni_b)
    uni_b.delete(uni_b.item_path("A0001"), holdings="suppress")
    holding = uni_b.get(f"/bibs/{mms_id}/holdings/{holding_id}")
    assert holding["suppress_from_publishing"] == "true"
    assert uni_b.get(f"/bibs/{mms_id}")["suppress_from_publishing"] == "true"


def test_an_overlaid_record_is_no_longer_ours(uni_b: Alma) -> None:
    mms_id, _, _ = make_virtual(uni_b)
    assert uni_b.institution.ours("(DCB)tx-1") == {"bibs": [mms_id]}
    uni_b.institution.overlay_bib(mms_id, "Something else")
    assert uni_b.institution.ours("(DCB)tx-1") == {}
    assert set(uni_b.institution.ours("[DCB-REQUEST:1]")) == {"items"}
