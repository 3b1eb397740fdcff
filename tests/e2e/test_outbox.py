"""What the outside is told: at least once, in order, signed, and never at a private address."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from reconciler.core.model import TransactionId
from reconciler.notify.webhook import Endpoint, WebhookSink, signing_keys
from reconciler.ports.messages import DeliveryKind, EventType, Message, MessageState
from tests.support.world import World

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@dataclass
class Receiver:
    """A webhook's other end, over a real socket."""

    url: str = ""
    status: list[int] = field(default_factory=list)
    """Answers in turn; 204 when none is left."""
    retry_after: str | None = None
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def events(self) -> list[Any]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(made.status.pop(0) if made.status else 204)
            if made.retry_after:
                self.send_header("retry-after", made.retry_after)
            self.send_header("location", made.url)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/hook?key=1"
    yield made
    server.shutdown()
    server.server_close()


def hooked(world: World, receiver: Receiver, **changes: object) -> None:
    sink = {
        "type": "webhook",
        "url": receiver.url,
        "secret": {"env": "HOOK_SECRET"},
        "allow_private": True,
        **changes,
    }
    world.environ["HOOK_SECRET"] = SECRET
    world.write_settings(notify=[{"type": "log"}, sink])


def messages(world: World, *options: str) -> list[Any]:
    found: list[Any] = world.run("outbox", "list", "-o", "json", *options).json["messages"]
    return found


def test_every_transition_is_told_in_order_signed_and_thin(
    world: World, receiver: Receiver
) -> None:
    hooked(world, receiver)
    lend = world.placed()
    world.track(lend)
    for act in (lambda _: None, world.send, world.shelve):
        act(lend)
        world.once()
    assert [event["data"]["to"] for event in receiver.events] == [
        "CONFIRMED",
        "REQUEST_PLACED_AT_BORROWING_AGENCY",
        "PICKUP_TRANSIT",
        "RECEIVED_AT_PICKUP",
        "READY_FOR_PICKUP",
    ]
    headers, body = receiver.got[0]
    event = json.loads(body)
    assert event["type"] == "org.dcb.reconciler.transition.fired.v1"
    assert (event["specversion"], event["subject"]) == ("1.0", lend.id)
    assert event["source"] == "/tenants/uni-a/reconciler"
    assert set(event["data"]) == {
        "transaction", "from", "to", "rule", "role", "outcome", "inferred",
    }  # fmt: skip
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["webhook-id"] == event["id"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(b"k" * 32, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    states = {(each["sink"].partition(":")[0], each["state"]) for each in messages(world)}
    assert states == {("log", "delivered"), ("webhook", "delivered")}


def test_a_parking_is_told_without_what_alma_said(world: World, receiver: Receiver) -> None:
    hooked(world, receiver)
    lend = world.placed()
    world.track(lend)
    world.lender.set_process_type(lend.barcode, "MISSING")
    world.once(check=3)
    (parked,) = [event for event in receiver.events if event["type"].endswith("parked.v1")]
    assert parked["data"] == {
        "transaction": lend.id,
        "status": "REQUEST_PLACED_AT_BORROWING_AGENCY",
        "reason": "item_lost",
    }


def test_a_failing_sink_loses_nothing_and_replays_with_the_same_id(
    world: World, receiver: Receiver
) -> None:
    hooked(world, receiver)
    receiver.status = [500]
    lend = world.placed()
    world.track(lend)
    report = world.once()
    assert report["notifications"]["failed"] == 1
    assert world.show(lend.id)["status"] == "REQUEST_PLACED_AT_BORROWING_AGENCY"
    waiting = messages(world, "--state", "pending")
    assert [each["attempts"] for each in waiting] == [1, 0]
    assert waiting[0]["last_error"] == "HTTP 500"

    world.run("outbox", "replay", "--state", "pending")
    world.once()
    assert messages(world, "--state", "pending") == []
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert ids[0] == ids[1]
    assert [event["data"]["to"] for event in receiver.events] == [
        "CONFIRMED",
        "CONFIRMED",
        "REQUEST_PLACED_AT_BORROWING_AGENCY",
    ]
    world.run("outbox", "replay", ids[0])
    world.once()
    assert receiver.got[-1][0]["webhook-id"] == ids[0]
    world.run("outbox", "replay", check=64)
    world.run("outbox", "replay", "nope", check=3)


def test_gone_is_given_up_at_once_and_said(world: World, receiver: Receiver) -> None:
    hooked(world, receiver)
    receiver.status = [410]
    lend = world.placed()
    world.track(lend)
    report = world.once(check=3)
    assert (report["notifications"]["dead"], report["notifications"]["delivered"]) == (1, 3)


def test_a_private_address_is_refused_unless_allowed(world: World, receiver: Receiver) -> None:
    hooked(world, receiver, allow_private=False)
    lend = world.placed()
    world.track(lend)
    world.once()
    assert receiver.got == []
    (first, _) = messages(world, "--state", "pending")
    assert "allow_private" in first["last_error"]


# --- one delivery ------------------------------------------------------------

AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
MESSAGE = Message(
    "m-1", TransactionId("t-1"), 1, "x", EventType.FIRED, {"data": {}}, MessageState.PENDING, 1, AT
)


async def test_a_name_that_leads_to_a_private_address_is_not_connected_to() -> None:
    for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1", "100.64.0.1"):
        sink = WebhookSink(
            Endpoint("https://hook.example.org/", (b"k",)), lambda *_, found=address: [found]
        )
        delivery = await sink.deliver(MESSAGE, AT)
        assert (delivery.kind, delivery.reason) == (
            DeliveryKind.FAILED,
            "the name leads to a private address",
        )


async def test_what_an_answer_means(receiver: Receiver) -> None:
    sink = WebhookSink(Endpoint(receiver.url, (b"k",), allow_private=True))
    receiver.retry_after = "120"
    receiver.status = [200, 302, 400, 429, 503, 410]
    found = [await sink.deliver(MESSAGE, AT) for _ in range(6)]
    assert [each.kind for each in found] == ["delivered"] + ["failed"] * 4 + ["gone"]
    assert [each.is_sinks_own for each in found[1:5]] == [True, False, True, True]
    assert found[3].wait == timedelta(seconds=120)
    receiver.retry_after = "Wed, 25 Nov 2026 10:00:00 GMT"
    receiver.status = [503]
    assert (await sink.deliver(MESSAGE, AT)).wait == timedelta(hours=1)
    receiver.retry_after = "soon"
    receiver.status = [503]
    assert (await sink.deliver(MESSAGE, AT)).wait is None
    assert len(receiver.got) == 8


async def test_nobody_there_is_a_failure_with_a_reason() -> None:
    sink = WebhookSink(Endpoint("http://127.0.0.1:9/", (b"k",), allow_private=True))
    delivery = await sink.deliver(MESSAGE, AT)
    assert (delivery.kind, delivery.reason) == (DeliveryKind.FAILED, "ConnectionRefusedError")


def test_two_keys_sign_while_one_is_replaced() -> None:
    assert signing_keys(f"{SECRET} plain") == (b"k" * 32, b"plain")
    with pytest.raises(ValueError, match="base64"):
        signing_keys("whsec_%%")
