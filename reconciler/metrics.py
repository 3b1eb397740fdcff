"""What can be counted: one table of metrics, fed by the parts, told in Prometheus' words.

Names follow operators.md §4.4. Labels are closed words (library codes, statuses, rules, kinds),
never the id of a transaction, a person or a thing. What is not known has no sample: a database
that cannot be read, a quota that Alma has not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import prometheus_client as prometheus

from reconciler import __version__
from reconciler.core.model import HostLmsCode, Intent, Policy
from reconciler.engine.health import DaemonRole, Health
from reconciler.engine.progress import Progress
from reconciler.engine.reconcile import Outcome, OutcomeKind
from reconciler.ports.messages import MessageState
from reconciler.ports.reports import Census
from reconciler.ports.survey import CallMade, InstitutionTally

prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
DAYS = tuple(days * 86_400.0 for days in (0.04, 0.25, 1, 2, 3, 7, 14, 28, 56, 112))


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Name(StrEnum):
    RECONCILES = "reconciler_reconcile_total"
    RECONCILE_ERRORS = "reconciler_reconcile_errors_total"
    RECONCILE_SECONDS = "reconciler_reconcile_duration_seconds"
    TRANSITIONS = "reconciler_transitions_total"
    TIME_IN_STATUS = "reconciler_time_in_status_seconds"
    EFFECTS = "reconciler_effects_total"
    AMBIGUOUS_OPEN = "reconciler_ambiguous_writes_open"
    TRANSACTIONS = "reconciler_transactions"
    QUEUE_DEPTH = "reconciler_workqueue_depth"
    QUEUE_OLDEST = "reconciler_workqueue_oldest_due_seconds"
    ALMA_REQUESTS = "reconciler_alma_requests_total"
    ALMA_SECONDS = "reconciler_alma_request_duration_seconds"
    ALMA_WAIT = "reconciler_alma_rate_limiter_wait_seconds"
    QUOTA_REMAINING = "reconciler_alma_quota_remaining"
    QUOTA_RESERVED = "reconciler_alma_quota_reserved"
    CLOCK_SKEW = "reconciler_clock_skew_seconds"
    OUTBOX_PENDING = "reconciler_outbox_pending"
    OUTBOX_OLDEST = "reconciler_outbox_oldest_seconds"
    OUTBOX_DELIVERIES = "reconciler_outbox_deliveries_total"
    LAST_CYCLE = "reconciler_last_full_cycle_timestamp_seconds"
    LAST_SUCCESS = "reconciler_last_success_timestamp_seconds"
    TENANT_TROUBLE = "reconciler_tenant_in_trouble"
    READY = "reconciler_ready"
    LEADER = "reconciler_leader"
    STALE_WRITES = "reconciler_stale_writes_refused_total"
    DATABASE_READ = "reconciler_database_readable"
    BUILD = "reconciler_build_info"


@dataclass(frozen=True, slots=True)
class Described:
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


C, G, H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

METRICS: dict[Name, Described] = {
    Name.RECONCILES: Described(
        C, ("tenant", "result"), "Looks at one transaction, by what came of them."
    ),
    Name.RECONCILE_ERRORS: Described(
        C, ("tenant", "class"), "Reads that failed (read) and faults of our own code (defect)."
    ),
    Name.RECONCILE_SECONDS: Described(
        H, ("tenant",), "How long a look took, its effects included.", SECONDS
    ),
    Name.TRANSITIONS: Described(
        C, ("tenant", "from", "to", "rule", "mode"), "Transitions fired; mode is the library's."
    ),
    Name.TIME_IN_STATUS: Described(
        H, ("status",), "How long a transaction had been in a status when it left it.", DAYS
    ),
    Name.EFFECTS: Described(
        C, ("tenant", "kind", "state"), "Steps of effects, by the state that each ended in."
    ),
    Name.AMBIGUOUS_OPEN: Described(
        G, ("tenant", "kind"), "Writes of which it is not known yet whether they happened."
    ),
    Name.TRANSACTIONS: Described(
        G, ("tenant", "status", "health"), "Live transactions: healthy, failing, parked or paused."
    ),
    Name.QUEUE_DEPTH: Described(G, ("tenant",), "Transactions that are due."),
    Name.QUEUE_OLDEST: Described(G, ("tenant",), "For how long the oldest of them has been due."),
    Name.ALMA_REQUESTS: Described(
        C, ("tenant", "endpoint", "code"), "Calls to Alma; code is ok or the kind of failure."
    ),
    Name.ALMA_SECONDS: Described(H, ("tenant", "endpoint"), "How long a call took.", SECONDS),
    Name.ALMA_WAIT: Described(
        H, ("tenant",), "How long a call waited for its turn under the limit.", SECONDS
    ),
    Name.QUOTA_REMAINING: Described(
        G, ("tenant",), "Calls left today for the whole institution, as Alma last said."
    ),
    Name.QUOTA_RESERVED: Described(G, ("tenant",), "Calls that polling leaves to others."),
    Name.CLOCK_SKEW: Described(G, ("tenant",), "Seconds by which Alma's clock is ahead of ours."),
    Name.OUTBOX_PENDING: Described(G, ("sink",), "Notifications not delivered yet."),
    Name.OUTBOX_OLDEST: Described(G, ("sink",), "Age of the oldest of them."),
    Name.OUTBOX_DELIVERIES: Described(
        C, ("sink", "result"), "Tries to deliver: delivered, pending (to be repeated) or dead."
    ),
    Name.LAST_CYCLE: Described(G, (), "When every library had last been worked off."),
    Name.LAST_SUCCESS: Described(
        G, ("tenant",), "When a library was last worked off without one failed read."
    ),
    Name.TENANT_TROUBLE: Described(G, ("tenant",), "1 while a library is in trouble, else 0."),
    Name.READY: Described(G, ("check",), "1 where a check of /readyz holds, 0 where it fails."),
    Name.LEADER: Described(G, (), "1 while this process looks after a library, 0 on standby."),
    Name.STALE_WRITES: Described(
        C, (), "Writes that were refused because the library's lease had gone to another."
    ),
    Name.DATABASE_READ: Described(G, (), "1 if the numbers of the database could be read."),
    Name.BUILD: Described(G, ("version",), "Always 1."),
}
"""Every metric that there is; README shows this table."""

RESULTS: dict[OutcomeKind, str] = {
    OutcomeKind.DONE: "noop",
    OutcomeKind.RETRY: "error",
    OutcomeKind.PARK: "parked",
    OutcomeKind.OVERTAKEN: "overtaken",
}
FIRED = "fired"
"""The result of a look that was done and made a transition."""


class Metrics:
    """The instruments of one App, in a registry of their own."""

    def __init__(self, policy: Policy) -> None:
        self.registry = prometheus.CollectorRegistry()
        self.policy = policy
        self._stale_writes = 0
        self._counters: dict[Name, prometheus.Counter] = {}
        self._gauges: dict[Name, prometheus.Gauge] = {}
        self._histograms: dict[Name, prometheus.Histogram] = {}
        for name, each in METRICS.items():
            self._make(name, each)
        self._gauges[Name.BUILD].labels(__version__).set(1)

    def _make(self, name: Name, each: Described) -> None:
        if each.kind is Kind.COUNTER:
            made = prometheus.Counter(name, each.help, each.labels, registry=self.registry)
            self._counters[name] = made
        elif each.kind is Kind.GAUGE:
            gauge = prometheus.Gauge(name, each.help, each.labels, registry=self.registry)
            self._gauges[name] = gauge
        else:
            self._histograms[name] = prometheus.Histogram(
                name, each.help, each.labels, registry=self.registry, buckets=each.buckets
            )

    def exposition(self) -> bytes:
        """All samples in Prometheus' text format."""
        return prometheus.generate_latest(self.registry)

    # --- told by the parts as they work ------------------------------------------

    def called(self, tenant: HostLmsCode, call: CallMade) -> None:
        """A call to Alma that was answered or given up."""
        self._counters[Name.ALMA_REQUESTS].labels(tenant, call.endpoint, _code(call)).inc()
        self._histograms[Name.ALMA_SECONDS].labels(tenant, call.endpoint).observe(call.seconds)
        self._histograms[Name.ALMA_WAIT].labels(tenant).observe(call.waited)

    def reconciled(self, outcome: Outcome, seconds: float) -> None:
        """One look at one transaction."""
        before, decision = outcome.transaction, outcome.decision
        tenant = before.tenant
        hops = decision.hops if decision is not None else ()
        fired = bool(hops) and outcome.kind is OutcomeKind.DONE
        result = FIRED if fired else RESULTS[outcome.kind]
        self._counters[Name.RECONCILES].labels(tenant, result).inc()
        self._histograms[Name.RECONCILE_SECONDS].labels(tenant).observe(seconds)
        if outcome.failures:
            errors = self._counters[Name.RECONCILE_ERRORS]
            errors.labels(tenant, "read").inc(len(outcome.failures))
        if outcome.kind is OutcomeKind.RETRY:
            self._counters[Name.RECONCILE_ERRORS].labels(tenant, "defect").inc()
        if decision is None or not hops or outcome.kind is OutcomeKind.OVERTAKEN:
            return
        host = self.policy.hosts.get(tenant)
        mode = "act" if host is not None and host.acts else "observe"
        for hop in hops:
            moved = self._counters[Name.TRANSITIONS]
            moved.labels(tenant, hop.source, hop.target, hop.rule, mode).inc()
        stayed = decision.transaction.status_since - before.status_since
        left = self._histograms[Name.TIME_IN_STATUS].labels(before.status)
        left.observe(stayed.total_seconds())

    def effect(self, intent: Intent) -> None:
        """One step of an effect, with the state that it ended in."""
        steps = self._counters[Name.EFFECTS]
        steps.labels(intent.host_lms, intent.kind, intent.state).inc()

    def delivery(self, sink: str, state: MessageState) -> None:
        """One try at one notification, with the state that it left it in."""
        self._counters[Name.OUTBOX_DELIVERIES].labels(sink, state).inc()

    # --- looked up when somebody asks ------------------------------------------------

    def census(self, census: Census | None, now: datetime) -> None:
        """What stands in the database; None when it cannot be read: then there is no sample."""
        for name in _OF_THE_DATABASE:
            self._gauges[name].clear()
        self._gauges[Name.DATABASE_READ].set(census is not None)
        if census is None:
            return
        for each in census.standing:
            standing = self._gauges[Name.TRANSACTIONS]
            standing.labels(each.tenant, each.status, each.health).set(each.count)
        for tenant in {*self.policy.hosts, *census.due}:
            queue = census.due.get(tenant)
            self._gauges[Name.QUEUE_DEPTH].labels(tenant).set(queue.count if queue else 0)
            waited = (now - queue.oldest_at).total_seconds() if queue else 0
            self._gauges[Name.QUEUE_OLDEST].labels(tenant).set(waited)
        for (tenant, kind), count in census.ambiguous.items():
            self._gauges[Name.AMBIGUOUS_OPEN].labels(tenant, kind).set(count)
        for sink, waiting in census.outbox.items():
            self._gauges[Name.OUTBOX_PENDING].labels(sink).set(waiting.count)
            age = (now - waiting.oldest_at).total_seconds()
            self._gauges[Name.OUTBOX_OLDEST].labels(sink).set(age)

    def institutions(self, tallies: Mapping[HostLmsCode, InstitutionTally]) -> None:
        """What each Alma said of itself."""
        for tenant, tally in tallies.items():
            self._gauges[Name.QUOTA_RESERVED].labels(tenant).set(tally.daily_reserve)
            if tally.remaining_today is not None:
                self._gauges[Name.QUOTA_REMAINING].labels(tenant).set(tally.remaining_today)
            if tally.clock_ahead is not None:
                self._gauges[Name.CLOCK_SKEW].labels(tenant).set(tally.clock_ahead)

    def stale_writes(self, so_far: int) -> None:
        """How many writes of this process were refused since it began."""
        self._counters[Name.STALE_WRITES].inc(so_far - self._stale_writes)
        self._stale_writes = so_far

    def daemon(self, progress: Progress, health: Health) -> None:
        """How the process itself stands."""
        if progress.last_full_cycle_at is not None:
            self._gauges[Name.LAST_CYCLE].set(progress.last_full_cycle_at.timestamp())
        for tenant, at in progress.last_success_at.items():
            self._gauges[Name.LAST_SUCCESS].labels(tenant).set(at.timestamp())
        for tenant in self.policy.hosts:
            self._gauges[Name.TENANT_TROUBLE].labels(tenant).set(tenant in health.troubles)
        for check in health.checks:
            if check.ok is not None:
                self._gauges[Name.READY].labels(check.name).set(check.ok)
        self._gauges[Name.LEADER].set(health.role is DaemonRole.ACTIVE)


_OF_THE_DATABASE = (
    Name.TRANSACTIONS,
    Name.QUEUE_DEPTH,
    Name.QUEUE_OLDEST,
    Name.AMBIGUOUS_OPEN,
    Name.OUTBOX_PENDING,
    Name.OUTBOX_OLDEST,
)


def _code(call: CallMade) -> str:
    return "ok" if call.failure is None else call.failure.name.lower()


def markdown() -> str:
    """The table as Markdown, for the README (a test keeps it current)."""
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for name, each in METRICS.items():
        labels = ", ".join(f"`{label}`" for label in each.labels) or "–"
        lines.append(f"| `{name}` | {each.kind} | {labels} | {each.help} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
