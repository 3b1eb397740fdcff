"""Which file system a folder lies on, told by mount tables."""

from __future__ import annotations

from pathlib import Path

from reconciler.store.filesystem import filesystem_of


def kind(folder: Path, mounts: str) -> str | None:
    table = folder / "mountinfo"
    table.write_text(mounts, encoding="utf-8")
    return filesystem_of(folder, table)


def test_the_deepest_and_last_mount_counts(tmp_path: Path) -> None:
    root = "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    over = f"30 21 0:40 / {tmp_path} rw - nfs4 nas:/export rw\n"
    again = f"31 30 0:41 / {tmp_path} rw master:3 - xfs /dev/sdb1 rw\n"
    beside = f"32 21 0:42 / {tmp_path}x rw - cifs //nas/x rw\n"
    assert kind(tmp_path, root) == "ext4"
    assert kind(tmp_path, root + over) == "nfs4"
    assert kind(tmp_path, over + root) == "nfs4"
    assert kind(tmp_path, root + over + again) == "xfs"
    assert kind(tmp_path, root + beside) == "ext4"


def test_a_path_with_blanks(tmp_path: Path) -> None:
    folder = tmp_path / "on the nas"
    folder.mkdir()
    escaped = str(folder).replace(" ", r"\040")
    assert kind(folder, f"30 21 0:40 / {escaped} rw - nfs nas:/x rw\n") == "nfs"


def test_what_is_not_told_is_not_guessed(tmp_path: Path) -> None:
    assert kind(tmp_path, "") is None
    assert kind(tmp_path, "nonsense\n1 2 3 - \n") is None
    assert filesystem_of(tmp_path, tmp_path / "nowhere") is None
    assert filesystem_of(tmp_path / "no folder", tmp_path) is None


def test_this_machine_tells(tmp_path: Path) -> None:
    assert filesystem_of(tmp_path)
