"""`reconciler doctor`: what is there, what is missing, what could not be seen, what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

from reconciler.app import App
from reconciler.cli.exits import Exit
from reconciler.cli.output import Format, put, put_rows, say
from reconciler.core.status import CheckState
from reconciler.engine.doctor.checkup import Checkup, examine
from reconciler.engine.doctor.institution import Institution
from reconciler.engine.doctor.premises import Premises
from reconciler.errors import SettingsError
from reconciler.ports.survey import SecretSight
from reconciler.store.filesystem import MOUNTS
from reconciler.store.survey import survey

COLUMNS = ("host_lms", "check", "state", "found", "to_do")
WIDTH = 100
_STATE = 9
_TOPIC = 26


async def examined(app: App, source: str, mounts: Path = MOUNTS) -> Checkup:
    """Settings, secrets, database and every Alma. Only GETs; nothing is stored."""
    app.keeps_quota = False
    database = survey(app.database, mounts)
    secrets = [_secret_sight(key, use) for key, use in app.secrets()]
    premises = Premises(source, len(app.settings.host_lms), secrets, database)
    unusable = {secret.key for secret in secrets if secret.problem is not None}
    institutions = [
        Institution(
            code,
            app.configs[code],
            acts=app.policy.hosts[code].acts,
            daily_reserve=host.daily_reserve,
            hours=host.hours,
            alma=None if f"host_lms.{code}.api_key" in unusable else app.libraries.surveyor(code),
            database=database,
        )
        for code, host in app.settings.alma_hosts().items()
    ]
    return await examine(premises, institutions)


def _secret_sight(key: str, use: Callable[[], object]) -> SecretSight:
    try:
        use()
    except SettingsError as error:
        return SecretSight(key, str(error).removeprefix(f"{key}: "))
    return SecretSight(key)


async def doctor(app: App, source: str, output: Format) -> Exit:
    """Look at everything, print it, and say by the exit code how it stands."""
    async with app:
        checkup = await examined(app, source)
    document = checkup.document()
    if output is Format.TABLE:
        _tell(document)
    else:
        put_rows(document["checks"], COLUMNS, output, document)
    return _exit(checkup)


def _exit(checkup: Checkup) -> Exit:
    """What a person has to cure first comes first."""
    if checkup.settings_are_wrong:
        return Exit.SETTINGS
    if checkup.key_is_refused:
        return Exit.CREDENTIALS
    if checkup.cannot_be_reached:
        return Exit.TEMPORARY
    return Exit.PARTLY if checkup.has_trouble else Exit.DONE


def _tell(document: dict[str, Any]) -> None:
    for host, rows in groupby(document["checks"], key=lambda row: row["host_lms"]):
        put(host or "this machine")
        said = ""
        for row in rows:
            heading = f"  {row['state']:<{_STATE}}{row['check']:<{_TOPIC}}"
            _put_wrapped(heading, row["found"])
            advice = row["to_do"] if row["trouble"] or row["state"] == CheckState.UNKNOWN else ""
            if advice and advice != said:
                _put_wrapped(f"{'':{2 + _STATE}}→ ", advice)
            said = advice or said
        put("")
    counts = document["counts"]
    told = ", ".join(f"{number} {state}" for state, number in counts.items())
    say(f"{told}; {document['trouble']} to be seen to")


def _put_wrapped(heading: str, text: str) -> None:
    """Text after a heading, its further lines below its first."""
    room = WIDTH - len(heading)
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    put(f"{heading}{lines[0]}".rstrip())
    for line in lines[1:]:
        put(f"{'':{len(heading)}}{line}")
