"""What systemd is told: one datagram to $NOTIFY_SOCKET (sd_notify(3)); silence without it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from loguru import logger


class Notifier:
    """Tells the service manager of this process how it goes. Never raises, never waits."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._failed = False

    def tell(self, *assignments: str) -> None:
        """Send assignments such as "READY=1" together."""
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]  # an abstract socket
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.setblocking(False)
                to.sendto("\n".join(assignments).encode(), address)
        except OSError as error:
            if not self._failed:
                logger.bind(reason=error.strerror).warning("systemd cannot be told")
            self._failed = True
        else:
            self._failed = False


def watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """How long systemd waits for a sign of this process; None when it does not."""
    period = environ.get("WATCHDOG_USEC", "")
    meant_for = environ.get("WATCHDOG_PID", "")
    if not period.isdigit() or (meant_for and meant_for != str(os.getpid())):
        return None
    return int(period) / 1_000_000
