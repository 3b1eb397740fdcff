"""Payloads recorded from real Almas. They lie beside the project and are never copied into it."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "fixtures"


def recorded(kind: str) -> list[Path]:
    """The files of one kind; skips with a printed reason where the folder is absent."""
    if not FOLDER.is_dir():
        pytest.skip(f"the recorded payloads are not here ({FOLDER})")
    found = sorted(path for path in (FOLDER / kind).iterdir() if path.suffix in (".json", ".xml"))
    assert found, f"no recorded payloads in {FOLDER / kind}"
    return found
