"""Who looks after a library, on both databases: the term in every write, and what it refuses."""

from __future__ import annotations

import threading
from datetime import timedelta

from reconciler.core.model import TransactionId
from reconciler.ports.leases import Lease, Owner
from reconciler.ports.store import Selection
from reconciler.ports.written import Claim, Settlement
from reconciler.store.database import Database
from reconciler.store.leases import SqlLeases
from reconciler.store.sql_store import SqlStore
from tests.contract.test_store import add, hop
from tests.support.build import NOW, UNI_A, UNI_B

ME, OTHER = Owner("me"), Owner("other")
SOON = NOW + timedelta(seconds=60)


def lease_of(leases: SqlLeases, owner: Owner) -> Lease:
    (seen,) = leases.all([UNI_A], NOW)
    (taken,) = leases.take([seen], owner, NOW)
    return taken


def claims(store: SqlStore, owner: Owner) -> list[Claim]:
    return store.claim(Selection(UNI_A), owner, NOW, SOON, 10)


def test_a_lease_that_was_never_taken_is_there_and_free(database: Database) -> None:
    leases = SqlLeases(database)
    assert [(each.tenant, each.owner, each.term) for each in leases.all([UNI_B, UNI_A], NOW)] == [
        (UNI_B, None, 0),
        (UNI_A, None, 0),
    ]


def test_only_who_has_the_lease_claims(store: SqlStore, database: Database) -> None:
    add(store, "t-1")
    assert claims(store, ME) == []
    taken = lease_of(SqlLeases(database), ME)
    assert claims(store, OTHER) == []
    (claim,) = claims(store, ME)
    assert claim.term == taken.term == 1


def test_a_lease_that_moved_on_is_not_taken(database: Database) -> None:
    leases = SqlLeases(database)
    (seen,) = leases.all([UNI_A], NOW)
    assert leases.take([seen], ME, NOW)
    assert leases.take([seen], OTHER, NOW) == []
    (held,) = leases.all([UNI_A], NOW)
    leases.renew(ME, NOW)
    assert leases.take([held], OTHER, NOW) == []


def test_one_of_many_takers_gets_it(database: Database) -> None:
    leases = SqlLeases(database)
    (seen,) = leases.all([UNI_A], NOW)
    taken: list[Lease] = []

    def work(name: str) -> None:
        taken.extend(leases.take([seen], Owner(name), NOW))

    threads = [threading.Thread(target=work, args=(f"p{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1


def test_the_old_owners_writes_are_refused_and_counted(store: SqlStore, database: Database) -> None:
    add(store, "t-1", "t-2")
    leases = SqlLeases(database)
    lease_of(leases, ME)
    stale = claims(store, ME)
    lease_of(leases, OTHER)
    settlements = [Settlement(each, each.transaction, (hop(),)) for each in stale]
    assert store.settle(settlements) == [False, False]
    assert store.stale_writes == 2
    assert len(store.history(TransactionId("t-1"))) == 1
    fresh = claims(store, OTHER)
    assert len(fresh) == 2, "what the old owner had claimed is free at once"
    assert store.settle([Settlement(each, each.transaction, (hop(),)) for each in fresh]) == [
        True,
        True,
    ]
    assert store.stale_writes == 2


def test_a_person_who_spoke_meanwhile_is_no_stale_write(
    store: SqlStore, database: Database
) -> None:
    from tests.contract.test_store import command

    add(store, "t-1")
    lease_of(SqlLeases(database), ME)
    (claim,) = claims(store, ME)
    assert store.amend(claim.transaction, [claim.transaction.supplier], command("evidence"))
    assert store.settle([Settlement(claim, claim.transaction, (hop(),))]) == [False]
    assert store.stale_writes == 0


def test_giving_up_frees_the_lease_and_every_claim(store: SqlStore, database: Database) -> None:
    add(store, "t-1")
    leases = SqlLeases(database)
    lease_of(leases, ME)
    (mine,) = claims(store, ME)
    leases.release(ME, [UNI_A], NOW)
    (free,) = leases.all([UNI_A], NOW)
    assert free.owner is None
    assert store.settle([Settlement(mine, mine.transaction, (hop(),))]) == [False]
    lease_of(leases, OTHER)
    assert len(claims(store, OTHER)) == 1


def test_renewing_says_what_is_still_ones_own(database: Database) -> None:
    leases = SqlLeases(database)
    before = lease_of(leases, ME)
    (renewed,) = leases.renew(ME, SOON)
    assert (renewed.term, renewed.beat > before.beat, renewed.renewed_at) == (1, True, SOON)
    lease_of(leases, OTHER)
    assert leases.renew(ME, SOON) == []


def test_daemons_come_and_go(database: Database) -> None:
    leases = SqlLeases(database)
    for owner in (ME, OTHER, ME):
        leases.attend(owner, NOW)
    assert [(each.owner, each.beat) for each in leases.present()] == [(ME, 1), (OTHER, 0)]
    leases.leave(ME)
    assert [each.owner for each in leases.present()] == [OTHER]
