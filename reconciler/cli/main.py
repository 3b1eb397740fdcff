"""The command line (interface.md §2). Heavy parts are imported by the commands that need them."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Any

import typer

from reconciler import __version__
from reconciler.cli.desk import desk
from reconciler.cli.exits import Exit
from reconciler.cli.hands import hands
from reconciler.cli.outbox import outbox
from reconciler.cli.output import Format, put, put_rows, say
from reconciler.cli.pausing import pausing
from reconciler.cli.report import report
from reconciler.cli.shell import (
    DryRunOption,
    EverythingOption,
    Globals,
    IdsOption,
    OutputOption,
    SettingsOption,
    TenantOption,
    check_tenant,
    connected,
    opened,
    settings_of,
)
from reconciler.cli.units import Unit
from reconciler.errors import SchemaError, SettingsError, StoreUnavailable, UnknownTransaction

cli = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Follows consortial lends through Alma and does Alma's side of the lending.",
)
cli.add_typer(desk)
cli.add_typer(hands)
cli.add_typer(pausing)
cli.add_typer(outbox, name="outbox")
cli.add_typer(report, name="report")


_CannotUse: Any = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)
"""What typer raises for a command line that it cannot use; it has no public name of its own."""


def main() -> None:
    """The installed command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit code. Every known trouble ends in one sentence."""
    try:
        result = cli(arguments, standalone_mode=False)
    except _CannotUse as error:
        error.show()
        return Exit.USAGE
    except typer.Abort:
        say("aborted")
        return Exit.ERROR
    except SettingsError as error:
        say(str(error))
        return Exit.SETTINGS
    except SchemaError as error:
        say(f"database: {error}")
        return Exit.SETTINGS
    except StoreUnavailable as error:
        say(f"database: {error}")
        return Exit.TEMPORARY
    except UnknownTransaction as error:
        say(f"{error}: no such transaction")
        return Exit.ERROR
    except BrokenPipeError:
        return Exit.ERROR
    return int(result) if isinstance(result, int) else Exit.DONE


@cli.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    settings: SettingsOption = None,
    log_level: Annotated[str | None, typer.Option("--log-level", help="TRACE to CRITICAL.")] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    once: Annotated[bool, typer.Option("--once", help="One cycle, then exit.")] = False,
    everything: EverythingOption = False,
    tenant: TenantOption = None,
    ids: IdsOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Format.TABLE,
) -> None:
    context.obj = Globals(settings, log_level)
    if version:
        put(__version__)
        raise typer.Exit
    if context.invoked_subcommand is not None:
        if once or everything or tenant or ids or dry_run:
            raise typer.BadParameter(
                f"--once and its options go before nothing else: reconciler --once, or "
                f"reconciler run --once, not with `{context.invoked_subcommand}`"
            )
        return
    run_command(context, once, everything, tenant, ids, dry_run, output)


@cli.command("run")
def run_command(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="One cycle, then exit.")] = False,
    everything: EverythingOption = False,
    tenant: TenantOption = None,
    ids: IdsOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Reconcile until SIGTERM or SIGINT; with --once for one cycle."""
    from reconciler.cli.cycle import OnceOptions
    from reconciler.cli.cycle import once as run_once

    if not once:
        if everything or tenant or ids or dry_run:
            raise typer.BadParameter("--all, --tenant, --id and --dry-run go with --once")
        raise typer.Exit(_daemon(context))
    options = OnceOptions(everything, dry_run, tenant, tuple(ids or ()), output)
    with opened(context) as app:
        check_tenant(app, tenant)
        raise typer.Exit(asyncio.run(run_once(app, options)))


def _daemon(context: typer.Context) -> int:
    from reconciler.cli.daemon import serve

    with connected(context) as app:
        return serve(app, lambda: settings_of(context))


@cli.command("systemd-unit")
def systemd_unit(
    context: typer.Context,
    unit: Annotated[Unit | None, typer.Argument(help="One of them; all without.")] = None,
) -> None:
    """Print the systemd units of the daemon and of --once with its timer."""
    from reconciler.cli.units import FILES, units
    from reconciler.settings_file import find_file

    made = units(settings_of(context), find_file(context.obj.settings))
    for each in [unit] if unit else list(Unit):
        put(f"# /etc/systemd/system/{FILES[each]}\n{made[each]}".rstrip())
        if each is not Unit.TIMER and unit is None:
            put("")


@cli.command()
def plan(
    context: typer.Context,
    tenant: TenantOption = None,
    ids: IdsOption = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 when something would fire.")
    ] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Read the libraries and show what would fire. Changes nothing, not even our database."""
    from reconciler.cli.cycle import PLAN_COLUMNS, OnceOptions
    from reconciler.cli.cycle import plan as run_plan

    options = OnceOptions(True, True, tenant, tuple(ids or ()), output)
    with connected(context) as app:
        check_tenant(app, tenant)
        if app.is_new:
            say(f"{app.database.shown}: there is no database yet, so nothing is followed")
            put_rows([], PLAN_COLUMNS, output, {"transactions": []})
            return
        app.prepare_schema()
        raise typer.Exit(asyncio.run(run_plan(app, options, detailed_exitcode=detailed_exitcode)))


@cli.command()
def migrate(context: typer.Context) -> None:
    """Bring the database's schema up to date."""
    from reconciler.store import migrate as migrations

    with connected(context) as app:
        applied = migrations.migrate(app.database, app.clock.now())
    for each in applied:
        say(f"applied {each.version:04} {each.name}")
    say("the schema is up to date")


@cli.command()
def doctor(context: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """Check settings, keys, clock, database and every code of the settings. Reads only."""
    from reconciler.cli.doctor import doctor as examine
    from reconciler.settings_file import find_file

    with connected(context) as app:
        source = str(find_file(context.obj.settings))
        raise typer.Exit(asyncio.run(examine(app, source, output)))


@cli.command()
def sandbox(
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.")] = 8081,
) -> None:
    """Serve the bundled Alma sandbox over HTTP on this machine, until interrupted."""
    from reconciler.sandbox import run as serve
    from reconciler.sandbox import sample_world

    world = sample_world()

    def ready(base_url: str) -> None:
        say(f"Alma sandbox at {base_url}; what staff do there: GET {base_url}/sandbox")
        for code in world.institutions:
            say(f"  {code}: base_url {base_url}, API key KEY-{code}")

    serve(world, port=port, on_ready=ready)


@cli.command()
def demo() -> None:
    """Play whole lends against the sandbox and tell them; exit 0 only if all end as they must."""
    from reconciler.cli.demo.play import play

    raise typer.Exit(asyncio.run(play()))
