"""What a run of months came to, for people to read."""

from __future__ import annotations

from collections import Counter

from reconciler.core.model import Transaction
from tests.journeys.book import Book
from tests.journeys.month import Month


def summary(month: Month) -> str:
    placed = [book for book in month.books if book.placed]
    ends = Counter(_end(month.stored(book)) for book in placed)
    refused = Counter(
        f"refused at submit: {book.refusal}" for book in month.books if not book.placed
    )
    return "\n".join(
        (
            f"seed {month.seed}, month {month.number}: {len(month.books)} journeys, "
            f"{len(month.sandbox.calls)} calls in {month.cycles} cycles, "
            f"{month.deaths} processes killed, {month.weather.met.total()} faults",
            f"  workflows: {_listed(Counter(_kind(book) for book in placed))}",
            f"  paths: {_listed(Counter(path for book in placed for path in book.paths))}",
            f"  ends: {_listed(ends + refused)}",
            f"  faults: {_listed(month.weather.met)}",
        )
    )


def _kind(book: Book) -> str:
    outside = [role for role, code in book.plan.roles.items() if code == "ext"]
    return f"{book.plan.workflow}{' external ' + outside[0] if outside else ''}"


def _end(transaction: Transaction) -> str:
    parked = f", parked {transaction.parked.reason}" if transaction.parked else ""
    return f"{transaction.status}/{transaction.outcome or '-'}{parked}"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.most_common()) or "none"
