"""`python -m tests.bench [NAME…]`: run the measurements and print their ratios."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from reconciler import logs
from tests.bench import backlog, cycle, idle, month, several, tracked

MEASUREMENTS: dict[str, Callable[[], Coroutine[Any, Any, list[str]]]] = {
    "cycle": cycle.measure,
    "backlog": backlog.measure,
    "tracked": tracked.measure,
    "idle": idle.measure,
    "several": several.measure,
    "month": month.measure,
}


def main() -> None:
    logs.set_up("ERROR", "text")
    names = [each for each in sys.argv[1:] if each != "--full"] or list(MEASUREMENTS)
    print(
        f"python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    for name in names:
        for line in asyncio.run(MEASUREMENTS[name]()):
            print(line, flush=True)


if __name__ == "__main__":
    main()
