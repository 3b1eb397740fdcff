"""The first SIGTERM or SIGINT asks for an orderly end, the second ends at once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from reconciler.cli.output import say

ENDING = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """Whether a person or the system wants this process to end."""

    def __init__(self) -> None:
        self.number: int | None = None
        """The signal that came; None while none did."""

    @property
    def exit_code(self) -> int:
        """What a shell calls a process that a signal ended."""
        return 128 + (self.number or 0)

    def listen(self, on_first: Callable[[], None]) -> None:
        """Call `on_first` on the running loop. Does nothing outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread is told of signals
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, self._first, number, on_first)

    def _first(self, number: signal.Signals, on_first: Callable[[], None]) -> None:
        self.number = number
        loop = asyncio.get_running_loop()
        for each in ENDING:
            loop.remove_signal_handler(each)
            signal.signal(each, _at_once)  # heard even while the loop is held up
        on_first()
        say(f"{number.name}: ending what is under way; once more ends at once")


def _at_once(number: int, _: FrameType | None) -> None:
    """Past every buffer: it may come in the middle of a write to one, which lets nobody else in."""
    with suppress(OSError):
        os.write(2, b"ended at once: what was under way is freed by its lease\n")
    os._exit(128 + number)
