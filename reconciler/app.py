"""The composition root: settings in, a wired App out. Nothing else builds these parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from reconciler import logs
from reconciler.clock import SystemClock, new_id
from reconciler.core.model import HostLmsCode, Intent, Policy
from reconciler.engine.absences import AbsenceWatch
from reconciler.engine.cycle import Cycle, CycleOptions, CycleReport
from reconciler.engine.desk import Desk, IntakeReport
from reconciler.engine.effects.runner import EffectRunner
from reconciler.engine.first_look import FirstLook
from reconciler.engine.hands import Hands
from reconciler.engine.hints import Sweeper
from reconciler.engine.others import OtherLends
from reconciler.engine.pausing import Pausing
from reconciler.engine.progress import Progress
from reconciler.engine.quota import StoredQuota
from reconciler.engine.reconcile import Outcome, Reconciler
from reconciler.engine.reporting import Reporting
from reconciler.engine.settling import Recorder, Settler
from reconciler.engine.storage import Storage
from reconciler.engine.submit import Submissions
from reconciler.engine.telling import Dispatcher, Herald
from reconciler.engine.tenure import Process, Tenure
from reconciler.errors import SchemaError, SettingsError, StoreUnavailable
from reconciler.libraries import Libraries
from reconciler.ports.clock import Clock
from reconciler.ports.leases import Owner
from reconciler.ports.messages import MessageState
from reconciler.ports.outbox import Sink
from reconciler.ports.reports import Census
from reconciler.ports.survey import CallMade
from reconciler.processes import is_dead, this_process
from reconciler.settings import LogSink as LogSettings
from reconciler.settings import Settings
from reconciler.settings import WebhookSink as WebhookSettings
from reconciler.store import migrate
from reconciler.store.census import census
from reconciler.store.database import Database
from reconciler.store.hints import SqlHints
from reconciler.store.leases import SqlLeases
from reconciler.store.outbox import SqlOutbox
from reconciler.store.pauses import SqlPauses
from reconciler.store.quotas import SqlQuotas
from reconciler.store.reports import SqlReports
from reconciler.store.sql_store import SqlStore
from reconciler.systemd import watchdog_seconds

if TYPE_CHECKING:
    import httpx

    from reconciler.metrics import Metrics


DELIVER_WITHIN = timedelta(seconds=60)
"""How long a cycle goes on delivering what is due; the rest is due in the next one."""


@dataclass
class App:
    """Everything wired. Use `async with` around whatever reads a library."""

    settings: Settings
    clock: Clock = field(default_factory=SystemClock)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    transports: Mapping[str, httpx.AsyncBaseTransport] = field(default_factory=dict)
    """Instead of a network, per host LMS (tests, simulations)."""
    metered: bool = False
    """Whether what happens is counted; `metrics` has the numbers."""
    keeps_quota: bool = True
    """False where nothing may be written, not even how many calls were made."""

    def __post_init__(self) -> None:
        self.policy: Policy = self.settings.policy()
        self.database = Database(self.settings.database.url)
        self.store = SqlStore(self.database)
        self.configs = self.settings.library_configs()
        self.recorder = Recorder(self.policy, new_id)
        self.too_long = self.settings.too_long()
        self.desk = Desk(self.store, self.policy, self.clock, self.recorder, new_id, self.too_long)
        self.owner: Owner = this_process()
        self.has_schema = False
        """Whether a schema was found or made by this process: it is never made twice."""
        self._absences = AbsenceWatch()

    # --- schema --------------------------------------------------------------

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever stored here."""
        return self.database.is_missing_file or migrate.is_empty(self.database)

    def prepare_schema(self) -> bool:
        """Make the schema of an empty database; True if it was made.

        Raises SchemaError when the schema there is older or newer than this version.
        """
        if migrate.is_empty(self.database):
            migrate.migrate(self.database, self.clock.now())
            self.has_schema = True
            return True
        missing = migrate.check(self.database)
        if missing:
            raise SchemaError(
                f"the database is {missing} migration(s) behind; run: reconciler migrate"
            )
        self.has_schema = True
        return False

    # --- libraries -----------------------------------------------------------

    @cached_property
    def libraries(self) -> Libraries:
        shared = StoredQuota(self.quotas, self.storage) if self.keeps_quota else None
        return Libraries(
            self.settings, self.clock, self.environ, self.transports, shared, self._called
        )

    async def submit(self, lines: Iterable[bytes], actor: str) -> IntakeReport:
        """Take new requests: each is checked at its libraries, then stored with its intents."""
        self.libraries.check_keys()
        report = IntakeReport()
        submissions = Submissions(
            readers=self.libraries.urgent_reader,
            policy=self.policy,
            configs=self.configs,
            recorder=self.recorder,
            herald=self.herald,
            store=self.store,
            actor=actor,
        )
        await submissions.take(lines, self.clock.now(), report)
        return report

    def secrets(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Every secret of the settings by its key there, and a use of it.

        The use raises SettingsError, beginning with that key, where the secret cannot be had.
        """
        for code, host in self.settings.alma_hosts().items():
            yield f"host_lms.{code}.api_key", partial(self.libraries.key, code)
            if host.webhook_secret is not None:
                hook = partial(host.webhook_secret.resolve, self.environ)
                yield f"host_lms.{code}.webhook_secret", hook
        for each in self.settings.notify:
            if not isinstance(each, LogSettings):
                yield f"notify: secret of {each.url}", partial(self._webhook, each)

    def check_tenants(self) -> None:
        """Raises SettingsError when something is polled for a library that the settings lack.

        Nobody would come to it, and nobody would know.
        """
        known = {HostLmsCode(code) for code in self.settings.host_lms}
        lacking = sorted(set(self.store.tenants()) - known)
        if lacking:
            raise SettingsError(
                f"host_lms.{lacking[0]} is not in the settings, but live transactions need it "
                "until they have ended (see: reconciler list)"
            )

    @cached_property
    def quotas(self) -> SqlQuotas:
        return SqlQuotas(self.database)

    # --- what came to an end: it is progress, and it is counted ---------------

    def _called(self, code: HostLmsCode, call: CallMade) -> None:
        self.progress.advance()
        if self.metered:
            self.metrics.called(code, call)

    def _delivered(self, sink: str, state: MessageState) -> None:
        self.progress.advance()
        if self.metered:
            self.metrics.delivery(sink, state)

    def _stepped(self, intent: Intent) -> None:
        if self.metered:
            self.metrics.effect(intent)

    def _reconciled(self, outcome: Outcome, seconds: float) -> None:
        self.progress.advance()
        if self.metered:
            self.metrics.reconciled(outcome, seconds)

    # --- seeing --------------------------------------------------------------

    @cached_property
    def metrics(self) -> Metrics:
        from reconciler.metrics import Metrics

        return Metrics(self.policy)

    async def census(self) -> Census:
        """What stands in the database, counted. Raises StoreUnavailable."""
        return await self.storage.run(census, self.database, self.clock.now())

    # --- the engine ----------------------------------------------------------

    @cached_property
    def storage(self) -> Storage:
        return Storage()

    @cached_property
    def settler(self) -> Settler:
        return Settler(self.store, self.storage, self.herald)

    @cached_property
    def herald(self) -> Herald:
        return Herald(tuple(self.sinks), new_id)

    @cached_property
    def sinks(self) -> dict[str, Sink]:
        """Who is told of events, by name. Raises SettingsError when a secret cannot be found."""
        from reconciler.notify.log import LogSink

        made = [
            LogSink() if isinstance(each, LogSettings) else self._webhook(each)
            for each in self.settings.notify
        ]
        return {sink.name: sink for sink in made}

    def _webhook(self, settings: WebhookSettings) -> Sink:
        from reconciler.notify.webhook import Endpoint, WebhookSink, signing_keys

        try:
            secret = settings.secret.resolve(self.environ)
            keys = signing_keys(secret)
        except (SettingsError, ValueError) as error:
            raise SettingsError(f"notify: secret of {settings.url}: {error}") from None
        logs.keep_secret(secret)
        return WebhookSink(Endpoint(settings.url, keys, settings.allow_private))

    @cached_property
    def outbox(self) -> SqlOutbox:
        return SqlOutbox(self.database)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        return Dispatcher(self.sinks, self.outbox, self.storage, self.clock, self._delivered)

    @cached_property
    def hands(self) -> Hands:
        return Hands(
            store=self.store,
            storage=self.storage,
            recorder=self.recorder,
            herald=self.herald,
            clock=self.clock,
            policy=self.policy,
            patience=self.settings.polling.lease,
            is_dead=is_dead,
            first_look=FirstLook(self.reconciler, self.libraries.gates, self.quotas, self.storage),
        )

    @cached_property
    def pausing(self) -> Pausing:
        patience = self.settings.http.write_read_timeout + self.settings.http.connect_timeout
        return Pausing(self.pauses, self.store, self.storage, self.clock, patience)

    @cached_property
    def pauses(self) -> SqlPauses:
        return SqlPauses(self.database)

    @cached_property
    def reporting(self) -> Reporting:
        return Reporting(SqlReports(self.database), self.pauses, self.desk, self.clock)

    @cached_property
    def runner(self) -> EffectRunner:
        longest_write = self.settings.http.write_read_timeout
        return EffectRunner(
            writers=self.libraries.writer,
            configs=self.configs,
            policy=self.policy,
            store=self.store,
            storage=self.storage,
            settler=self.settler,
            clock=self.clock,
            new_id=new_id,
            lease=self.settings.polling.lease + 2 * longest_write,
            longest_write=longest_write,
            on_end=self._stepped,
        )

    @cached_property
    def reconciler(self) -> Reconciler:
        return Reconciler(
            readers=self.libraries.reader,
            recorder=self.recorder,
            runner=self.runner,
            settler=self.settler,
            clock=self.clock,
            policy=self.policy,
            gates=self.libraries.gates,
            absences=self._absences,
            others=OtherLends(self.store, self.storage),
        )

    @property
    def tenants(self) -> tuple[HostLmsCode, ...]:
        return tuple(HostLmsCode(code) for code in self.settings.host_lms)

    @cached_property
    def tenure(self) -> Tenure:
        process = Process(self.owner, is_dead)
        lease = self.settings.polling.lease
        return Tenure(SqlLeases(self.database), self.storage, self.clock, process, lease)

    @cached_property
    def progress(self) -> Progress:
        silence = watchdog_seconds(self.environ) or self.settings.longest_silence.total_seconds()
        return Progress(self.clock, silence)

    @cached_property
    def work_cycle(self) -> Cycle:
        return Cycle(
            reconciler=self.reconciler,
            store=self.store,
            storage=self.storage,
            clock=self.clock,
            owner=self.owner,
            lease=self.settings.polling.lease,
            tenants=self.tenants,
            is_dead=is_dead,
            on_end=self._reconciled,
            gates=self.libraries.gates,
            quotas=self.quotas,
            sweeper=self.sweeper,
        )

    @cached_property
    def sweeper(self) -> Sweeper:
        return Sweeper(
            readers=self.libraries.reader,
            hints=SqlHints(self.database),
            storage=self.storage,
            clock=self.clock,
            policy=self.policy,
            gates=self.libraries.gates,
            queues=self.tenants,
            is_on=self.settings.polling.bulk_scans,
        )

    async def cycle(self, options: CycleOptions) -> CycleReport:
        """One cycle over the selection, notifications included.

        It takes the leases that are free for as long as it lasts; what others look after is left
        to them and named in the report. A lease that is lost meanwhile stops every write under it.
        """
        others = await self.tenure.take_free(options.tenants or self.tenants)
        held = self.tenure.held
        if not held:
            return CycleReport(new_id(), held_elsewhere=tuple(others))
        try:
            report = await self.work_cycle.run(replace(options, tenants=held), new_id())
            await self.dispatcher.run(DELIVER_WITHIN)
        finally:
            with suppress(StoreUnavailable):  # what cannot be given back ends by itself
                await self.tenure.release(held)
        report.held_here, report.held_elsewhere = held, tuple(others)
        return report

    # --- the daemon ----------------------------------------------------------

    async def work(
        self, tenant: HostLmsCode, may_go_on: Callable[[HostLmsCode], bool]
    ) -> CycleReport:
        """Everything that is due at one library whose lease is held."""
        return await self.work_cycle.run(CycleOptions(False, (tenant,), (), may_go_on), new_id())

    async def deliver(self) -> None:
        """What is due to be told; a tick's time at most, the rest is due in the next one."""
        await self.dispatcher.run(self.settings.polling.tick)

    @property
    def tick(self) -> float:
        """Seconds between two looks for what is due."""
        return self.settings.polling.tick.total_seconds()

    async def pull_in(self, now: datetime) -> None:
        """No next look lies further ahead than its interval (a clock was set back)."""
        await self.storage.run(self.store.pull_in, now, self.policy.intervals)

    async def check_storage(self) -> None:
        """Raises StoreUnavailable, and SchemaError when the schema is not ours."""
        await self.storage.run(self._check_storage)

    def _check_storage(self) -> None:
        self.database.verify()
        if self.has_schema and migrate.is_empty(self.database):
            raise SchemaError("the database is empty, and it was not: bring its backup back")
        self.prepare_schema()

    def reloaded(self, settings: Settings) -> App:
        """An App of new settings over the same database, leases and progress.

        Raises SettingsError when something changed that only a restart can change.
        """
        for section in ("database", "web"):
            if getattr(settings, section) != getattr(self.settings, section):
                raise SettingsError(f"{section}: a change here needs a restart")
        new = App(settings, self.clock, self.environ, self.transports, self.metered)
        new.database.dispose()
        new.database, new.store, new.owner = self.database, self.store, self.owner
        new.has_schema = self.has_schema
        new.desk = replace(new.desk, store=self.store)
        vars(new).update(storage=self.storage, tenure=self.tenure, progress=self.progress)
        if self.metered:
            vars(new).update(metrics=self.metrics)
        new.libraries.check_keys()
        _ = new.sinks  # their secrets are found now or refused now
        self.tenure.lease = settings.polling.lease
        if self.metered:
            self.metrics.policy = new.policy
        return new

    async def aclose(self) -> None:
        """Close the connections to the libraries; calls under way are waited for."""
        if "libraries" in vars(self):
            await self.libraries.aclose()

    async def __aenter__(self) -> App:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
        self.close()

    def close(self) -> None:
        if "storage" in self.__dict__:
            self.storage.close()
        self.database.dispose()
