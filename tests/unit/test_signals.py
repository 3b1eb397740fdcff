"""The second signal ends the process at once, wherever the first one has got to."""

from __future__ import annotations

import subprocess
import sys

IMPATIENT = """
import asyncio, io, os, signal, sys
from reconciler.cli.signals import Interruption

class Terminal(io.RawIOBase):
    def writable(self):
        return True

    def write(self, data):
        if b"once more" in bytes(data):
            os.kill(os.getpid(), signal.SIGTERM)
        return len(data)

sys.stderr = io.TextIOWrapper(io.BufferedWriter(Terminal()), line_buffering=True)

async def main():
    Interruption().listen(lambda: None)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(30)

asyncio.run(main())
"""


def test_a_second_signal_while_the_first_is_being_answered_ends_at_once() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", IMPATIENT], capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == 143
    assert "ended at once" in ended.stderr
