"""What the commands share: options, the opened App, words that people type."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from reconciler import logs
from reconciler.cli.output import Format, say
from reconciler.wording import did_you_mean

if TYPE_CHECKING:
    from reconciler.app import App
    from reconciler.ports.reports import Filter
    from reconciler.settings import Settings

SettingsOption = Annotated[
    Path | None, typer.Option("--settings", help="The settings file.", show_default=False)
]
OutputOption = Annotated[Format, typer.Option("--output", "-o", help="How data is printed.")]
IdArgument = Annotated[str, typer.Argument(help="The transaction's id.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the history.")]
EverythingOption = Annotated[
    bool, typer.Option("--all", help="Every live transaction, whatever its next look was.")
]
TenantOption = Annotated[
    str | None, typer.Option("--tenant", help="Only this library's transactions.")
]
StatusOption = Annotated[str | None, typer.Option("--status", help="Only those in this status.")]
ParkedOption = Annotated[bool, typer.Option("--parked", help="Only those that wait for a person.")]
StuckOption = Annotated[
    bool, typer.Option("--stuck", help="Only those that are too long in their status.")
]
IdsOption = Annotated[
    list[str] | None, typer.Option("--id", help="Only this transaction; repeatable.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would happen; write nothing.")
]


@dataclass(frozen=True, slots=True)
class Globals:
    """The options that stand before the command."""

    settings: Path | None
    log_level: str | None


@contextmanager
def opened(context: typer.Context) -> Iterator[App]:
    """The App of the settings, with a schema to work on, closed at the end."""
    with connected(context) as app:
        app.prepare_schema()
        yield app


@contextmanager
def connected(context: typer.Context) -> Iterator[App]:
    """The App of the settings, its database left as it is."""
    from reconciler.app import App

    app = App(settings_of(context))
    try:
        yield app
    finally:
        app.close()


def settings_of(context: typer.Context) -> Settings:
    """The settings that this command line names; logging is set up by them."""
    from reconciler.settings_file import find_file, load

    options: Globals = context.obj
    settings = load(find_file(options.settings))
    level = (options.log_level or settings.logging.level).upper()
    logs.set_up(level, settings.logging.format)
    return settings


def actor() -> str:
    """Who gives a command, for the history."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):
        return "cli"


@contextmanager
def lines_of(file: str) -> Iterator[BinaryIO]:
    """The lines of a file, or of standard input for `-`."""
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(file).open("rb") as lines:
            yield lines
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from None


def known_word(option: str, word: str, known: Sequence[str]) -> str:
    """The word as it is spelt here; a usage error with the nearest one otherwise."""
    same = {each.casefold(): each for each in known}
    if word.casefold() in same:
        return same[word.casefold()]
    raise typer.BadParameter(f"{option} {word}: {did_you_mean(word, known)}")


def filter_of(
    app: App, status: str | None, tenant: str | None, *, parked: bool, live: bool = False
) -> Filter:
    """The filter that these options name; a usage error for a word that is none."""
    from reconciler.core.model import HostLmsCode
    from reconciler.core.status import DcbStatus
    from reconciler.ports.reports import Filter

    known = known_word("--status", status, [str(each) for each in DcbStatus]) if status else None
    check_tenant(app, tenant)
    return Filter(
        status=DcbStatus(known) if known else None,
        tenant=HostLmsCode(tenant) if tenant else None,
        parked=parked,
        live=live,
    )


def looked_at(app: App) -> str:
    """How much is followed and when anything was looked at last: an empty list means nothing
    while nobody looks."""
    seen = app.reporting.looked_at()
    last = f"last look {seen['last_look_at']}" if seen["last_look_at"] else "no look yet"
    return f"{seen['tracked']} followed, {seen['over']} over; {last}"


def tell_rests(app: App) -> None:
    """Say which libraries are not called at present, and why."""
    from reconciler.engine.quota_views import not_open, resting_sentence

    for code, standing in not_open(app.quotas.standings()).items():
        say(resting_sentence(code, standing))


def tell_pauses(app: App) -> None:
    """Say what stands still because a person wanted it so."""
    from reconciler.core.status import PauseScope
    from reconciler.engine.views import instant

    for pause in app.pauses.standing():
        everything = pause.scope is PauseScope.ALL
        what, option = (
            ("everything", "--all")
            if everything
            else (f"all of {pause.tenant}", f"--tenant {pause.tenant}")
        )
        say(
            f"paused: {what}, since {instant(pause.since)} by {pause.actor}: {pause.reason}; "
            f"ends with: reconciler resume {option} --reason TEXT"
        )


def check_tenant(app: App, tenant: str | None) -> None:
    if tenant is not None:
        known_word("--tenant", tenant, list(app.settings.host_lms))
