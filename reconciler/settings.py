"""What can be set, with defaults and limits. Contract: interface.md §3.

Secrets are references, resolved only by whoever needs them. `settings_file` reads the file.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from reconciler.core.commands.placing import LibraryConfig
from reconciler.core.library.breaker import Terms
from reconciler.core.library.hours import Hours
from reconciler.core.model import DeskCode, HostLmsCode, HostPolicy, LibraryCode, Policy
from reconciler.core.stages import DEFAULT_INTERVALS, DEFAULT_TOO_LONG
from reconciler.core.status import LIVE, DcbStatus
from reconciler.errors import SettingsError

SPARE = timedelta(seconds=30)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(value: object) -> timedelta:
    """`30s`, `5m`, `1h`, `2d` as a timedelta."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a duration such as 30s, 5m, 1h or 2d")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAYS = re.compile(f"({'|'.join(_WEEKDAYS)})(?:-({'|'.join(_WEEKDAYS)}))?")
_OPEN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")


def open_hours(value: object) -> dict[int, tuple[time, time]]:
    """`{Mon-Fri: "08:00-20:00", Sat: "10:00-24:00"}` by weekday, Monday being 0."""
    if not isinstance(value, dict) or not value:
        raise ValueError('expected days and hours such as {Mon-Fri: "08:00-20:00"}')
    found: dict[int, tuple[time, time]] = {}
    for days, hours in value.items():
        which = _DAYS.fullmatch(str(days))
        when = _OPEN.fullmatch(str(hours).replace(" ", ""))
        if which is None:
            raise ValueError(f"{days}: expected a day such as Mon or Mon-Fri")
        if when is None or str(hours).replace(" ", "")[:5] >= str(hours).replace(" ", "")[6:]:
            raise ValueError(f"{days}: {hours}: expected hours such as 08:00-20:00")
        first = _WEEKDAYS.index(which[1])
        last = _WEEKDAYS.index(which[2]) if which[2] else first
        closes = time(int(when[3]) % 24, int(when[4]))
        for day in range(first, last + 1):
            found[day] = (time(int(when[1]), int(when[2])), closes)
    if not found:
        raise ValueError("the days run backwards: Mon-Sun is a week")
    return found


Duration = Annotated[timedelta, BeforeValidator(duration)]
OpenHours = Annotated[dict[int, tuple[time, time]], BeforeValidator(open_hours)]
Code = Annotated[str, Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretRef(_Section):
    """Where a secret is found: an environment variable, a private file, a systemd credential."""

    env: str | None = None
    file: str | None = None
    credential: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_a_reference(cls, value: object) -> object:
        if not isinstance(value, dict):
            raise ValueError(
                "a secret is never written here: use {env: NAME}, {file: PATH} "
                "or {credential: NAME}"
            )
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> SecretRef:
        if sum(each is not None for each in (self.env, self.file, self.credential)) != 1:
            raise ValueError("expected exactly one of env, file, credential")
        return self

    def resolve(self, environ: Mapping[str, str]) -> str:
        """The secret. Raises SettingsError when it is missing, empty or readable by others."""
        if self.env is not None:
            value = environ.get(self.env, "")
            where = f"environment variable {self.env}"
        else:
            path = self._path(environ)
            where = str(path)
            value = _private_text(path, check_mode=self.file is not None)
        if not value.strip():
            raise SettingsError(f"{where}: no secret there (not set, or empty)")
        return value.strip()

    def _path(self, environ: Mapping[str, str]) -> Path:
        if self.file is not None:
            return Path(self.file)
        folder = environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise SettingsError(
                f"credential {self.credential}: CREDENTIALS_DIRECTORY is not set; credentials "
                "exist only under systemd (LoadCredential=)"
            )
        return Path(folder) / str(self.credential)


def _private_text(path: Path, *, check_mode: bool) -> str:
    try:
        mode = path.stat().st_mode
        if check_mode and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsError(
                f"{path}: others than its owner may read this secret; run: chmod 600 {path}"
            )
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None


class DatabaseSettings(_Section):
    url: str = "sqlite:///reconciler.db"


class PollingSettings(_Section):
    tick: Duration = timedelta(seconds=10)
    lease: Duration = timedelta(seconds=60)
    cadence: dict[DcbStatus, Duration] = Field(default_factory=dict)
    too_long: dict[DcbStatus, Duration] = Field(default_factory=dict)
    bulk_scans: bool = True

    @field_validator("cadence")
    @classmethod
    def _only_live(cls, value: dict[DcbStatus, timedelta]) -> dict[DcbStatus, timedelta]:
        for status, interval in value.items():
            if status not in LIVE:
                raise ValueError(f"{status} is never polled")
            if interval <= timedelta(0):
                raise ValueError(f"{status}: an interval is longer than nothing")
        return value

    @field_validator("too_long")
    @classmethod
    def _only_what_can_be_late(
        cls, value: dict[DcbStatus, timedelta]
    ) -> dict[DcbStatus, timedelta]:
        for status in value:
            if status not in LIVE:
                raise ValueError(f"{status} is over, so it is never late")
        return value

    @field_validator("tick", "lease")
    @classmethod
    def _some_time(cls, value: timedelta) -> timedelta:
        if value <= timedelta(0):
            raise ValueError("expected more than nothing")
        return value


class HttpSettings(_Section):
    connect_timeout: Duration = timedelta(seconds=10)
    read_timeout: Duration = timedelta(seconds=30)
    write_read_timeout: Duration = timedelta(seconds=90)


class VirtualPatronSettings(_Section):
    identifier_type: Code = "INST_ID"
    barcode_prefix: str = ""
    show_names: bool = False


class AlmaSettings(_Section):
    """One Alma institution: polled, and in mode `act` acted on."""

    type: Literal["alma"]
    mode: Literal["observe", "act"] = "observe"
    base_url: str
    api_key: SecretRef
    calls_per_second: Annotated[float, Field(gt=0, le=1_000_000)] = 24
    daily_reserve: Annotated[int, Field(ge=0)] = 20_000
    settle: Duration = timedelta(seconds=60)
    loans_kept: Duration = timedelta(days=7)
    sharing_library: Code | None = None
    sharing_circ_desk: Code | None = None
    circ_desk: Code = "DEFAULT_CIRC_DESK"
    cancellation_reason: Code = "CannotBeFulfilled"
    no_renew_item_policy: Code | None = None
    virtual_library: Code | None = None
    virtual_location: Code | None = None
    transit_library: Code | None = None
    webhook_secret: SecretRef | None = None
    timezone: str = "UTC"
    open_hours: OpenHours | None = None
    item_policy: Code | None = None
    patron_groups: dict[str, Code] = Field(default_factory=dict)
    material_types: dict[str, Code] = Field(default_factory=dict)
    virtual_patron: VirtualPatronSettings = VirtualPatronSettings()

    def config(self) -> LibraryConfig:
        transit = self.transit_library or self.virtual_library
        return LibraryConfig(
            sharing_library=LibraryCode(self.sharing_library) if self.sharing_library else None,
            sharing_circ_desk=DeskCode(self.sharing_circ_desk) if self.sharing_circ_desk else None,
            circ_desk=DeskCode(self.circ_desk),
            cancellation_reason=self.cancellation_reason,
            no_renew_item_policy=self.no_renew_item_policy,
            virtual_library=LibraryCode(self.virtual_library) if self.virtual_library else None,
            virtual_location=self.virtual_location,
            transit_library=LibraryCode(transit) if transit else None,
            item_policy=self.item_policy,
            patron_groups=dict(self.patron_groups),
            material_types=dict(self.material_types),
            identifier_type=self.virtual_patron.identifier_type,
            barcode_prefix=self.virtual_patron.barcode_prefix,
            show_names=self.virtual_patron.show_names,
            zone=ZoneInfo(self.timezone),
        )

    @property
    def hours(self) -> Hours | None:
        """When its desks are open, in its zone; None where that is not set."""
        if self.open_hours is None:
            return None
        days = tuple(self.open_hours.get(day) for day in range(len(_WEEKDAYS)))
        return Hours(days, ZoneInfo(self.timezone))

    def terms(self, code: HostLmsCode) -> Terms:
        """What is agreed on about its daily quota."""
        return Terms(code, self.daily_reserve, ZoneInfo(self.timezone))

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
            raise ValueError("expected a URL such as https://api-eu.hosted.exlibrisgroup.com")
        return value

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("expected a time zone such as Europe/Vienna") from None
        return value


class ExternalSettings(_Section):
    """A library that is never called; its side reaches us as evidence."""

    type: Literal["external"]


HostSettings = Annotated[AlmaSettings | ExternalSettings, Field(discriminator="type")]


class LogSink(_Section):
    type: Literal["log"]


class WebhookSink(_Section):
    type: Literal["webhook"]
    url: str
    secret: SecretRef
    allow_private: bool = False


SinkSettings = Annotated[LogSink | WebhookSink, Field(discriminator="type")]


def _only_the_log() -> list[LogSink | WebhookSink]:
    return [LogSink(type="log")]


class WebSettings(_Section):
    enabled: bool = False
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080


class LoggingSettings(_Section):
    level: Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    format: Literal["text", "json"] = "text"


class Settings(_Section):
    database: DatabaseSettings = DatabaseSettings()
    polling: PollingSettings = PollingSettings()
    http: HttpSettings = HttpSettings()
    host_lms: dict[str, HostSettings] = Field(default_factory=dict)
    notify: list[SinkSettings] = Field(default_factory=_only_the_log)
    web: WebSettings = WebSettings()
    logging: LoggingSettings = LoggingSettings()

    def alma_hosts(self) -> dict[HostLmsCode, AlmaSettings]:
        return {
            HostLmsCode(code): host
            for code, host in self.host_lms.items()
            if isinstance(host, AlmaSettings)
        }

    def library_configs(self) -> dict[HostLmsCode, LibraryConfig]:
        """How each Alma is set up for consortial lending."""
        return {code: host.config() for code, host in self.alma_hosts().items()}

    @property
    def longest_silence(self) -> timedelta:
        """How long a part of the daemon may finish nothing: longer than any call may take."""
        longest_call = 2 * max(self.http.read_timeout, self.http.write_read_timeout)
        return max(timedelta(minutes=2), longest_call + SPARE, 3 * self.polling.tick)

    def too_long(self) -> dict[DcbStatus, timedelta]:
        """How long a transaction may stand in each live status."""
        return {**DEFAULT_TOO_LONG, **self.polling.too_long}

    def policy(self) -> Policy:
        """What the core has to know of these settings."""
        hosts = {
            HostLmsCode(code): HostPolicy(
                is_external=isinstance(host, ExternalSettings),
                acts=isinstance(host, AlmaSettings) and host.mode == "act",
                settle=host.settle if isinstance(host, AlmaSettings) else timedelta(0),
                loans_kept=host.loans_kept if isinstance(host, AlmaSettings) else timedelta(0),
                hours=host.hours if isinstance(host, AlmaSettings) else None,
            )
            for code, host in self.host_lms.items()
        }
        return Policy(hosts=hosts, intervals={**DEFAULT_INTERVALS, **self.polling.cadence})
