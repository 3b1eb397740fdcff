"""What is checked on this machine: settings, secrets, the database and where it lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.core.status import CheckState
from reconciler.engine.doctor.findings import (
    Finding,
    Topic,
    missing,
    not_set,
    present,
    unknown,
)
from reconciler.ports.survey import DatabaseSight, SecretSight

OVER_A_NETWORK = frozenset(
    """
    9p afs beegfs ceph cifs coda fuse.ceph fuse.davfs fuse.glusterfs fuse.rclone fuse.s3fs
    fuse.sshfs gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs smb3 smbfs vboxsf virtiofs
    """.split()  # noqa: SIM905 - as a list it would fill a page
)
"""File systems that several machines can write to: SQLite's shared memory does not span them."""


@dataclass(frozen=True, slots=True)
class Premises:
    """What was seen on this machine. The settings themselves were read, or we were not here."""

    settings: str
    """Where the settings came from."""
    libraries: int
    secrets: Sequence[SecretSight]
    database: DatabaseSight

    def checks(self) -> Iterator[Finding]:
        if self.libraries:
            yield present(Topic.SETTINGS, f"{self.settings}: {self.libraries} libraries")
        else:
            yield not_set(Topic.SETTINGS, f"{self.settings}: no library in it", needed=True)
        for secret in self.secrets:
            if secret.problem is None:
                yield present(Topic.SECRET, secret.key)
            else:
                yield missing(Topic.SECRET, f"{secret.key}: {secret.problem}")
        yield self._database()
        yield self._schema()
        if self.database.folder is not None:
            yield self._filesystem()
            yield self._file_modes()

    def _database(self) -> Finding:
        sight = self.database
        if sight.problem is not None:
            return missing(Topic.DATABASE, f"{sight.shown}: {sight.problem}")
        if sight.is_new:
            return Finding(
                Topic.DATABASE,
                CheckState.PRESENT,
                f"{sight.shown}: new, nothing is stored in it yet",
            )
        return present(Topic.DATABASE, sight.shown)

    def _schema(self) -> Finding:
        sight = self.database
        if sight.problem is not None:
            return unknown(Topic.SCHEMA, "could not look: no database", "see database")
        if sight.schema_problem is not None:
            return missing(Topic.SCHEMA, sight.schema_problem)
        if sight.missing_migrations:
            behind = f"{sight.missing_migrations} migration(s) behind this version"
            return missing(Topic.SCHEMA, behind)
        if sight.is_new:
            return not_set(Topic.SCHEMA, "made by the first command that stores", needed=False)
        return present(Topic.SCHEMA, "up to date")

    def _filesystem(self) -> Finding:
        sight = self.database
        if sight.filesystem is None:
            return unknown(
                Topic.FILESYSTEM,
                f"could not look: the kind of {sight.folder} is not told here",
                "see that the folder lies on a disk of this machine",
            )
        if sight.filesystem in OVER_A_NETWORK:
            return missing(Topic.FILESYSTEM, f"{sight.folder} lies on {sight.filesystem}")
        return present(Topic.FILESYSTEM, f"{sight.folder} lies on {sight.filesystem}")

    def _file_modes(self) -> Finding:
        sight = self.database
        if sight.open_to_others:
            files = " ".join(sight.open_to_others)
            return missing(Topic.FILE_MODES, f"open to everybody on this machine: {files}")
        if sight.is_new:
            return not_set(Topic.FILE_MODES, "no database file yet", needed=False)
        return present(Topic.FILE_MODES, "the database is closed to others")
