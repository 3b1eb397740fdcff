"""What `doctor` can find: the things that it looks at, and what to do about each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from reconciler.core.model import HostLmsCode
from reconciler.core.status import CheckState
from reconciler.errors import AlmaFailure, FailureKind


class Topic(StrEnum):
    """One thing that is looked at; by the name of its setting where it has one."""

    SETTINGS = "settings"
    SECRET = "secret"  # noqa: S105 - a topic
    DATABASE = "database"
    SCHEMA = "schema"
    FILESYSTEM = "file system"
    FILE_MODES = "file modes"
    KEY = "api_key"
    USERS_READ = "key: Users, read"
    BIBS_READ = "key: Bibs, read"
    CONFIGURATION_READ = "key: Configuration, read"
    USERS_WRITE = "key: Users, write"
    BIBS_WRITE = "key: Bibs, write"
    REST = "everything else"
    OWNER = "institution"
    CLOCK = "clock"
    QUOTA = "daily_reserve"
    HOURS = "open_hours"
    SHARING_LIBRARY = "sharing_library"
    SHARING_DESK = "sharing_circ_desk"
    VIRTUAL_LIBRARY = "virtual_library"
    VIRTUAL_LOCATION = "virtual_location"
    TRANSIT_LIBRARY = "transit_library"
    CIRC_DESK = "circ_desk"
    CANCELLATION_REASON = "cancellation_reason"
    PATRON_GROUPS = "patron_groups"
    ITEM_POLICY = "item_policy"
    NO_RENEW_POLICY = "no_renew_item_policy"
    MATERIAL_TYPES = "material_types"
    IDENTIFIER_TYPE = "identifier_type"


ADVICE: dict[Topic, str] = {
    Topic.SETTINGS: "name your libraries under host_lms in the settings file",
    Topic.SECRET: "put the secret where the settings say it is, readable by the service only",
    Topic.DATABASE: "start the database, or correct database.url",
    Topic.SCHEMA: "run: reconciler migrate; a newer schema needs the newer reconciler",
    Topic.FILESYSTEM: (
        "move the SQLite file to a disk of this machine, or use PostgreSQL: over a network its "
        "locks do not hold and the file breaks"
    ),
    Topic.FILE_MODES: "take the others' rights away, the files hold readers' ids: chmod 600",
    Topic.KEY: (
        "check in the Ex Libris Developer Network that the key is active, belongs to this "
        "institution and region, and may be used from this machine's address; put the new one "
        "where the settings say"
    ),
    Topic.REST: "cure what is above first",
    Topic.USERS_READ: "give the key the area Users in the Developer Network",
    Topic.BIBS_READ: "give the key the area Bibs in the Developer Network",
    Topic.CONFIGURATION_READ: "give the key the area Configuration, read-only is enough",
    Topic.USERS_WRITE: "see in the Developer Network that the key's area Users is read/write",
    Topic.BIBS_WRITE: "see in the Developer Network that the key's area Bibs is read/write",
    Topic.OWNER: "see in the Developer Network which institution the key belongs to",
    Topic.CLOCK: "set this machine's clock by NTP: due times and quotas hang on it",
    Topic.QUOTA: (
        "polling rests below daily_reserve until midnight: see which other programs use the "
        "institution's calls, or lower daily_reserve"
    ),
    Topic.HOURS: (
        "set the hours in which books are handled at the desks, in this library's timezone: what "
        "happens is noticed as soon, for half as many calls"
    ),
    Topic.SHARING_LIBRARY: (
        "name an ordinary library of this Alma at which nobody scans books: lent books are sent "
        'to it, it stands for "outside"'
    ),
    Topic.SHARING_DESK: "name a circulation desk of sharing_library, or leave it out",
    Topic.VIRTUAL_LIBRARY: "name the library of this Alma in which virtual items are made",
    Topic.VIRTUAL_LOCATION: "name a location of virtual_library, best one that is suppressed",
    Topic.TRANSIT_LIBRARY: (
        "name a library that is no pickup library: a scan where a book is to be picked up puts "
        "it on the hold shelf instead of sending it, and tells the reader so"
    ),
    Topic.CIRC_DESK: "name the circulation desk code that the lending libraries have in common",
    Topic.CANCELLATION_REASON: "name a code of Alma's table RequestCancellationReasons",
    Topic.PATRON_GROUPS: "map to enabled codes of Alma's table UserGroups and a default",
    Topic.ITEM_POLICY: "name an enabled code of Alma's table ItemPolicy, or leave it out",
    Topic.NO_RENEW_POLICY: "name an enabled code of Alma's table ItemPolicy, or leave it out",
    Topic.MATERIAL_TYPES: "map to enabled codes of Alma's table PhysicalMaterialType and a default",
    Topic.IDENTIFIER_TYPE: "name an enabled code of Alma's table UserIdentifierTypes",
}

WHEN_UNREADABLE: dict[FailureKind, str] = {
    FailureKind.UNREACHABLE: "check base_url, the network and the firewall, then look again",
    FailureKind.TIMEOUT: "look again later; if it lasts, see status.exlibrisgroup.com",
    FailureKind.CONNECTION_LOST: "look again later; if it lasts, see status.exlibrisgroup.com",
    FailureKind.SERVER_ERROR: "look again later; if it lasts, see status.exlibrisgroup.com",
    FailureKind.UNREADABLE: "check that base_url is the API gateway's, then look again",
    FailureKind.THROTTLED: "look again in a minute; lower calls_per_second if it lasts",
    FailureKind.QUOTA_EXHAUSTED: "the institution's calls of the day are used up: look tomorrow",
    FailureKind.RESTING: "wait for its next probe (reconciler report calls), then look again",
    FailureKind.NOT_SENT: "look again: this machine stood still",
    FailureKind.CREDENTIALS: "give the key the area that it lacks",
    FailureKind.REFUSED: "Alma does not show this: look it up in Alma's configuration",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `to_do` is there whenever something has to be done or to be known."""

    topic: Topic
    state: CheckState
    found: str
    to_do: str | None = None
    host_lms: HostLmsCode | None = None
    is_trouble: bool = False


def present(topic: Topic, found: str) -> Finding:
    return Finding(topic, CheckState.PRESENT, found)


def with_advice(finding: Finding, remark: str) -> Finding:
    """What is there, and yet not as it had best be."""
    found = f"{finding.found}; {remark}"
    return replace(finding, found=found, to_do=ADVICE[finding.topic])


def missing(topic: Topic, found: str, hint: str = "") -> Finding:
    """`hint` comes before the advice: what is nearest, or what there is."""
    to_do = f"{hint} – {ADVICE[topic]}" if hint else ADVICE[topic]
    return Finding(topic, CheckState.MISSING, found, to_do, is_trouble=True)


def not_set(topic: Topic, found: str, *, needed: bool) -> Finding:
    return Finding(topic, CheckState.NOT_SET, found, ADVICE[topic], is_trouble=needed)


def unreadable(topic: Topic, failure: AlmaFailure) -> Finding:
    why = failure.kind if failure.kind is FailureKind.CREDENTIALS else failure
    return Finding(
        topic,
        CheckState.UNKNOWN,
        f"could not look: {why}",
        WHEN_UNREADABLE[failure.kind],
        is_trouble=True,
    )


def unknown(topic: Topic, why: str, to_do: str | None = None) -> Finding:
    return Finding(topic, CheckState.UNKNOWN, why, to_do or ADVICE[topic], is_trouble=True)
