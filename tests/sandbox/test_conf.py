"""Configuration, the pick list and the area probes (alma-api.md 7, 8, 1.5)."""

from __future__ import annotations

from tests.sandbox.conftest import DESK, Alma


def test_libraries(uni_a: Alma) -> None:
    rows = uni_a.get("/conf/libraries")
    assert rows["total_record_count"] == 4
    assert {row["code"] for row in rows["library"]} == {"MAIN", "BRANCH", "RES_OUT", "DCB"}
    assert uni_a.get("/conf/libraries/MAIN")["resource_sharing"] is False
    assert uni_a.refused("GET", "/conf/libraries/NOWHERE") == "402119"


def test_locations(uni_a: Alma) -> None:
    address = "/conf/libraries/DCB/locations"
    assert uni_a.get(f"{address}/DCBVIRTUAL")["suppress_from_publishing"] == "true"
    assert uni_a.refused("GET", f"{address}/STACKS") == "402119"
    new = {
        "code": "NEW",
        "name": "New",
        "type": {"value": "OPEN"},
        "suppress_from_publishing": "true",
    }
    assert uni_a.post(address, new)["suppress_from_publishing"] == "true"
    assert [row["code"] for row in uni_a.get(address)["location"]] == ["DCBVIRTUAL", "NEW"]
    assert uni_a.refused("POST", address, new) == "401664"
    assert (
        uni_a.refused("POST", address, {"code": "X", "name": "X", "type": {"value": "?"}})
        == "60297"
    )
    assert "circ_desk" not in uni_a.get(f"{address}/NEW")
    uni_a.institution.dialect.update(location_desks=True)
    assert uni_a.get(f"{address}/NEW")["circ_desk"][0]["circ_desk_code"] == DESK


def test_desks(uni_a: Alma) -> None:
    uni_a.institution.add_circ_desk("MAIN", "KIOSK", has_hold_shelf=False)
    rows = uni_a.get("/conf/libraries/MAIN/circ-desks/")["circ_desk"]
    assert [row["code"] for row in rows] == [DESK, "KIOSK"]
    assert "has_hold_shelf" not in rows[0]
    assert uni_a.get(f"/conf/libraries/MAIN/circ-desks/{DESK}")["has_hold_shelf"] is True
    assert uni_a.get("/conf/libraries/MAIN/circ-desks/KIOSK")["has_hold_shelf"] is False
    assert uni_a.refused("GET", "/conf/libraries/MAIN/circ-desks/NONE") == "402119"


def test_code_tables_and_general(uni_a: Alma) -> None:
    uni_a.institution.add_code("UserGroups", "OLD", enabled=False)
    rows = uni_a.get("/conf/code-tables/UserGroups")["row"]
    assert {row["code"]: row["enabled"] for row in rows}["OLD"] is False
    for name in ("PhysicalMaterialType", "ItemPolicy", "RequestCancellationReasons", "PROCESSTYPE"):
        assert uni_a.get(f"/conf/code-tables/{name}")["name"] == name
    assert uni_a.refused("GET", "/conf/code-tables/Nothing") == "40166411"
    general = uni_a.get("/conf/general")
    assert general["institution"] == {"value": "01UNI_A_INST", "desc": "University A"}
    assert general["environment_type"] == "SANDBOX"


def test_probes(uni_a: Alma) -> None:
    for area in ("users/operation", "bibs", "conf", "task-lists"):
        for method in ("GET", "POST"):
            response = uni_a.call(method, f"/{area}/test")
            assert response.json() == {"test": f"{method} - OK - institutionCode: 01UNI_A_INST"}
    uni_a.institution.dialect.update(probe_body="xml")
    text = uni_a.call("GET", "/conf/test").text
    assert text.endswith("<test>GET - OK - institutionCode: 01UNI_A_INST</test>")


def test_the_pick_list_of_a_desk(uni_a: Alma) -> None:
    address, desk = "/task-lists/requested-resources", {"library": "MAIN", "circ_desk": DESK}
    assert uni_a.refused("GET", address, library="MAIN") == "401664"
    hold = uni_a.hold("local-1", "A0001", "BRANCH")
    uni_a.hold("local-1", "A0004", "BRANCH")
    row = uni_a.get(address, **desk)["requested_resource"]
    assert len(row) == 1
    assert row[0]["location"]["copy"][0]["barcode"] == "A0001"
    request = row[0]["request"][0]
    assert request["id"] != hold["request_id"]
    assert request["link"].endswith(hold["request_id"])
    assert uni_a.post(address, None, **desk, op="mark_reported")
    assert uni_a.get(address, **desk)["requested_resource"][0]["request"][0]["reported"] is True
    uni_a.scan("A0001", "MAIN")
    assert uni_a.get(address, **desk) == {"total_record_count": 0}
