"""The sink that is always there: events as log lines."""

from __future__ import annotations

from datetime import datetime, timedelta

from loguru import logger

from reconciler.ports.messages import Delivery, DeliveryKind, EventType, Message


class LogSink:
    name = "log"
    longest = timedelta(0)

    async def deliver(self, message: Message, _now: datetime) -> Delivery:
        data = message.body["data"]
        bound = logger.bind(transaction=message.transaction)
        if message.type == EventType.FIRED:
            bound.bind(source=data["from"], target=data["to"], rule=data["rule"]).info(
                "transition fired"
            )
        else:
            bound.bind(reason=data.get("reason")).warning("transaction parked")
        return Delivery(DeliveryKind.DELIVERED)
