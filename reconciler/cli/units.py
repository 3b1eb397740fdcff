"""`systemd-unit`: the units of the daemon and of `--once` with its timer, for these settings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from reconciler.settings import SecretRef, Settings, WebhookSink

CREDENTIALS = "/etc/reconciler/credentials"
TIMER_INTERVAL = "5min"
LONGEST_ONCE = "1h"
"""A oneshot service has no time limit of its own, and no watchdog covers it."""


class Unit(StrEnum):
    SERVICE = "service"
    ONCE = "once"
    TIMER = "timer"


FILES = {
    Unit.SERVICE: "reconciler.service",
    Unit.ONCE: "reconciler-once.service",
    Unit.TIMER: "reconciler-once.timer",
}

HARDENING = """\
User=reconciler
DynamicUser=yes
StateDirectory=reconciler
StateDirectoryMode=0700
WorkingDirectory=%S/reconciler
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
PrivateMounts=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
ProcSubset=pid
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
LimitCORE=0
MemoryMax=1G
TasksMax=64"""


def units(settings: Settings, file: Path) -> dict[Unit, str]:
    """The text of each unit file. `file` is where the settings lie."""
    command = Path(sys.argv[0]).absolute()
    if command.name != "reconciler":
        command = Path(sys.executable).with_name("reconciler")
    start = f"{command} --settings {file.absolute()}"
    credentials = "\n".join(_credentials(settings))
    shared = "\n".join(part for part in (credentials, HARDENING) if part)
    watchdog = round(settings.longest_silence.total_seconds())
    return {
        Unit.SERVICE: SERVICE.format(start=start, shared=shared, watchdog=watchdog),
        Unit.ONCE: ONCE.format(start=start, shared=shared, longest=LONGEST_ONCE),
        Unit.TIMER: TIMER.format(interval=TIMER_INTERVAL),
    }


SERVICE = """\
[Unit]
Description=reconciler: follows consortial lends through Alma
Wants=network-online.target
After=network-online.target postgresql.service

[Service]
Type=notify
NotifyAccess=main
ExecStart={start} run
ExecReload=/bin/kill -HUP $MAINPID
# Finished work alone feeds the watchdog.
WatchdogSec={watchdog}
Restart=on-failure
RestartSec=5
# Usage, refused credentials and wrong settings need a person.
RestartPreventExitStatus=64 77 78
RestartForceExitStatus=75
TimeoutStartSec=120
TimeoutStopSec=45
KillMode=mixed
{shared}

[Install]
WantedBy=multi-user.target
"""

ONCE = """\
[Unit]
Description=reconciler: one cycle over what is due
Wants=network-online.target
After=network-online.target postgresql.service

[Service]
Type=oneshot
ExecStart={start} run --once
TimeoutStartSec={longest}
# 3: some transactions failed or wait for a person; 4: another process looks after the libraries.
SuccessExitStatus=3 4
{shared}
"""

TIMER = """\
[Unit]
Description=reconciler: one cycle every {interval}

[Timer]
OnBootSec=1min
OnUnitInactiveSec={interval}
RandomizedDelaySec=30s
Persistent=true

[Install]
WantedBy=timers.target
"""


def _credentials(settings: Settings) -> Iterator[str]:
    """One LoadCredential for each secret; a secret that is not one yet is told how to become it."""
    for where, secret in _secrets(settings):
        name = secret.credential or where.replace("host_lms.", "").replace(".", "-")
        if secret.credential is None:
            yield f"# in the settings: {where}: {{credential: {name}}}"
        yield f"LoadCredential={name}:{CREDENTIALS}/{name}"


def _secrets(settings: Settings) -> Iterator[tuple[str, SecretRef]]:
    for code, host in settings.alma_hosts().items():
        yield f"host_lms.{code}.api_key", host.api_key
        if host.webhook_secret is not None:
            yield f"host_lms.{code}.webhook_secret", host.webhook_secret
    for n, sink in enumerate(settings.notify):
        if isinstance(sink, WebhookSink):
            yield f"notify.{n}.secret", sink.secret
