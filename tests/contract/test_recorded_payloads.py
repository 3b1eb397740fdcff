"""All recorded payloads are read: how many of each kind, and what their words became."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.alma import wire
from reconciler.alma.document import Node, child, children, parse
from reconciler.alma.failures import error_in, of_answer
from reconciler.core.status import ItemState, LoanState, RequestState
from reconciler.errors import AlmaFailure, FailureKind
from tests.support.recorded import recorded

NOT_AN_ANSWER = {"hagaybar__official-swagger-error-codes.json": "a table of codes, no answer"}


def trees(kind: str) -> list[tuple[Path, Node]]:
    return [
        (path, parse(path.read_bytes()))
        for path in recorded(kind)
        if path.name not in NOT_AN_ANSWER
    ]


def items(tree: Node) -> tuple[Node, ...]:
    return children(tree, "item") or ((tree,) if child(tree, "item_data") else ())


def requests(tree: Node) -> tuple[Node, ...]:
    return children(tree, "user_request") or ((tree,) if "request_status" in tree else ())


def loans(tree: Node) -> tuple[Node, ...]:
    single = "loan_status" in tree or "loanStatus" in tree
    return children(tree, "item_loan") or ((tree,) if single else ())


KINDS: dict[str, tuple[Callable[[Node], tuple[Node, ...]], Callable[[Node], object], set[str]]] = {
    "items": (items, wire.item, {"tulibraries__items-list-past-end.json"}),
    "requests": (
        requests,
        wire.request,
        {
            "kb-dk__list-none-2023.json",
            "tulibraries__list-past-end.json",
            "tulibraries__request-options-all.json",
        },
    ),
    "loans": (
        loans,
        wire.loan,
        {
            "mlibrary__list-none.json",
            "scriptotek__item-loans-none.json",
            "scriptotek__list-none.json",
        },
    ),
}
"""Kind → its rows, their reader, and the files that hold no row."""


def read(kind: str) -> Iterator[tuple[Path, object]]:
    rows, reader, _ = KINDS[kind]
    for path, tree in trees(kind):
        for row in rows(tree):
            yield path, reader(row)


@pytest.mark.parametrize("kind", KINDS)
def test_every_recorded_answer_is_read(kind: str, tell: Callable[[str], None]) -> None:
    words: Counter[str] = Counter()
    files = set()
    for path, sight in read(kind):
        files.add(path.name)
        assert sight.state not in (
            ItemState.UNKNOWN,
            RequestState.UNKNOWN,
            LoanState.UNKNOWN,
        ), path.name
        words[f"{sight.raw} → {sight.state}"] += 1
    empty = KINDS[kind][2]
    assert files | empty == {path.name for path in recorded(kind)}
    assert not files & empty
    read_from = f"{kind}: {sum(words.values())} read from {len(files)} files, {len(empty)} empty"
    tell("\n".join([read_from, *(f"  {n:>4}  {word}" for word, n in words.most_common())]))


def test_every_recorded_item_has_its_ids() -> None:
    for path, sight in read("items"):
        assert isinstance(sight, wire.ItemSight)
        assert sight.pid, path.name
        assert sight.mms_id, path.name
        assert sight.holding_id or "list" in path.name, path.name
        assert sight.library, path.name


def test_every_recorded_request_has_its_id_and_time() -> None:
    for path, sight in read("requests"):
        assert isinstance(sight, wire.RequestSight)
        assert sight.request_id, path.name
        assert sight.placed_at, path.name


def test_every_recorded_loan_has_its_user_and_dates() -> None:
    for path, sight in read("loans"):
        assert isinstance(sight, wire.LoanSight)
        assert sight.user_id, path.name
        assert sight.item_barcode, path.name
        assert sight.began_at, path.name
        assert sight.due_at, path.name


def test_every_recorded_user_has_a_primary_id(tell: Callable[[str], None]) -> None:
    names = [path.name for path, tree in trees("users") if wire.user(tree).primary_id]
    assert len(names) == len(recorded("users"))
    tell(f"users: {len(names)} read")


EXPECTED_KINDS = {
    "BerkeleyLibrary__401861-user-not-found.json": ("401861", FailureKind.REFUSED),
    "UCLALibrary__402203-error-as-object-from-xml.json": ("402203", FailureKind.REFUSED),
    "UCLALibrary__60107-error-list.json": ("60107", FailureKind.REFUSED),
    "UIUCLibrary__DAILY_THRESHOLD.xml": ("DAILY_THRESHOLD", FailureKind.QUOTA_EXHAUSTED),
    "UIUCLibrary__html-502-bad-gateway.xml": (None, FailureKind.SERVER_ERROR),
    "emory-libraries__401129-no-items-can-fulfill.json": ("401129", FailureKind.REFUSED),
    "emory-libraries__UNAUTHORIZED-bad-api-key.xml": ("UNAUTHORIZED", FailureKind.CREDENTIALS),
    "hagaybar__401604-warning-is-an-error.xml": ("401604", FailureKind.REFUSED),
    "mlibrary__INTERNAL_SERVER_ERROR.json": ("INTERNAL_SERVER_ERROR", FailureKind.SERVER_ERROR),
    "scriptotek__PER_SECOND_THRESHOLD.json": ("PER_SECOND_THRESHOLD", FailureKind.THROTTLED),
}


def test_every_recorded_error_is_a_failure_with_its_code(
    tell: Callable[[str], None],
) -> None:
    told = []
    for path in recorded("errors"):
        if path.name in NOT_AN_ANSWER:
            continue
        status = 502 if "502" in path.name else 400
        with pytest.raises(AlmaFailure) as caught:
            of_answer(status, path.read_bytes())
        failure = caught.value
        code, kind = EXPECTED_KINDS.get(
            path.name, (path.name.partition("__")[2].partition("-")[0], FailureKind.REFUSED)
        )
        assert (failure.code, failure.kind) == (code, kind), path.name
        told.append(f"  {failure.kind}: {failure.code}")
    tell("\n".join([f"errors: {len(told)} read", *sorted(set(told))]))


def test_an_error_with_http_200_is_still_an_error() -> None:
    for path in recorded("errors"):
        if path.name in NOT_AN_ANSWER:
            continue
        with pytest.raises(AlmaFailure):
            of_answer(200, path.read_bytes())


def test_no_recorded_answer_is_mistaken_for_an_error() -> None:
    for kind in ("items", "requests", "loans", "users", "holdings", "bibs", "conf", "tasklists"):
        for path in recorded(kind):
            assert error_in(parse(path.read_bytes())) is None, path.name
            assert of_answer(200, path.read_bytes()) is not None, path.name
