"""One server for the folder; each test gets a fresh world behind it and its own clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from reconciler.sandbox import Institution, Sandbox, Serving, sample_world, serve
from reconciler.sandbox.records import Item
from tests.support.clock import FakeClock

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
DESK = "DEFAULT_CIRC_DESK"


@dataclass
class Alma:
    """An institution, and its API as a caller with a full key sees it."""

    institution: Institution
    http: httpx.Client

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.http.request(method, f"/almaws/v1{path}", **more)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        response = self.call("GET", path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        response = self.call("POST", path, params=query, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def put(self, path: str, body: Any, **query: Any) -> dict[str, Any]:
        response = self.call("PUT", path, params=query, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def delete(self, path: str, **query: Any) -> None:
        response = self.call("DELETE", path, params=query)
        assert (response.status_code, response.content) == (204, b""), response.text

    def refused(self, method: str, path: str, body: Any = None, **query: Any) -> str:
        """The error code of a call that must be refused with HTTP 400."""
        response = self.call(method, path, params=query, json=body)
        assert response.status_code == 400, response.text
        return code_of(response)

    # short forms

    def item(self, barcode: str) -> Item:
        return self.institution._item(barcode)

    def item_path(self, barcode: str) -> str:
        item = self.item(barcode)
        return f"/bibs/{item.mms_id}/holdings/{item.holding_id}/items/{item.pid}"

    def item_state(self, barcode: str) -> str:
        """`0/TRANSIT requested`, as GET item shows it."""
        data = self.get(self.item_path(barcode))["item_data"]
        word = f"{data['base_status']['value']}/{data['process_type'].get('value', '')}"
        return f"{word} requested" if data["requested"] else word

    def hold(self, user: str, barcode: str, pickup: str, **more: Any) -> dict[str, Any]:
        body = {
            "request_type": "HOLD",
            "pickup_location_type": "LIBRARY",
            "pickup_location_library": pickup,
            **more,
        }
        return self.post(f"/users/{user}/requests", body, item_pid=self.item(barcode).pid)

    def request_state(self, request_id: str) -> str:
        """`IN_PROCESS Transit Item`, as GET by id shows it."""
        row = self.get(f"/users/ALL/requests/{request_id}")
        return f"{row['request_status']} {row.get('task_name', '')}".strip()

    def lend(self, user: str, barcode: str, library: str = "MAIN", **more: Any) -> dict[str, Any]:
        body = {"circ_desk": {"value": DESK}, "library": {"value": library}, **more}
        return self.post(f"/users/{user}/loans", body, item_barcode=barcode)

    def scan(self, barcode: str, library: str, **query: Any) -> dict[str, Any]:
        path = self.item_path(barcode)
        return self.post(
            path, None, **{"op": "scan", "library": library, "circ_desk": DESK} | query
        )


def code_of(response: httpx.Response) -> str:
    return str(response.json()["errorList"]["error"][0]["errorCode"])


@pytest.fixture(scope="session")
def serving() -> Iterator[Serving]:
    with serve(sample_world()) as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def world(serving: Serving, clock: FakeClock) -> Sandbox:
    serving.sandbox = sample_world(clock)
    return serving.sandbox


@pytest.fixture
def base_url(serving: Serving) -> str:
    return serving.base_url


@pytest.fixture
def uni_a(base_url: str, world: Sandbox) -> Iterator[Alma]:
    """The supplier: books A0001.. at MAIN (every fourth at BRANCH), the reader local-1."""
    yield from _alma(base_url, world, "uni-a")


@pytest.fixture
def uni_b(base_url: str, world: Sandbox) -> Iterator[Alma]:
    """The borrower: readers reader-b1.. with barcodes B0001.., no books."""
    yield from _alma(base_url, world, "uni-b")


def _alma(base_url: str, world: Sandbox, code: str) -> Iterator[Alma]:
    headers = {"authorization": f"apikey KEY-{code}", "accept": "application/json"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=10) as http:
        yield Alma(world[code], http)
