"""Rules of the house that no linter knows (design.md)."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from reconciler.alma.surveyor import PROBES
from reconciler.cli.diagram import mermaid
from reconciler.core.commands.close import ENDINGS
from reconciler.core.commands.command import Command
from reconciler.core.effects import CLEARED_BY, STILL_NEEDED
from reconciler.core.model import Closing
from reconciler.core.staff.parking import OUR_HOLDS_ARE_CERTAIN, STAFF_ADVICE, ParkReason
from reconciler.core.stages import STAGES, next_expected
from reconciler.core.status import (
    BEFORE_DISPATCH,
    BOOK_AWAY,
    ENDED,
    JOURNEYS,
    LIVE,
    PARTIES,
    TERMINAL,
    DcbStatus,
    EffectKind,
    ItemState,
    LoanState,
    RequestState,
    ThingKind,
    Workflow,
)
from reconciler.core.transitions import TRANSITIONS, rows_from
from reconciler.engine.doctor.findings import ADVICE, WHEN_UNREADABLE, Topic
from reconciler.engine.doctor.institution import READ_TOPICS, WRITES_TO
from reconciler.engine.effects.verbs import VERBS
from reconciler.engine.hands import JUDGES
from reconciler.engine.reconcile import OutcomeKind
from reconciler.errors import FailureKind
from reconciler.metrics import METRICS, RESULTS, Name, markdown
from reconciler.ports.survey import KeyArea

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "reconciler").rglob("*.py"))
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.splitlines()


# --- every table is total ----------------------------------------------------


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (STAGES, DcbStatus),
        ({status for status, stage in STAGES.items() if stage.live}, LIVE),
        (PARTIES, Workflow),
        (STAFF_ADVICE, ParkReason),
        (OUR_HOLDS_ARE_CERTAIN, ParkReason),
        (STILL_NEEDED, EffectKind),
        (CLEARED_BY, set(ThingKind) - {ThingKind.VIRTUAL_PATRON}),
        (VERBS, set(EffectKind) - {EffectKind.NOTIFY}),
        (JOURNEYS, Workflow),
        (ADVICE, Topic),
        (WHEN_UNREADABLE, FailureKind),
        (WRITES_TO, set(EffectKind) - {EffectKind.NOTIFY}),
        (READ_TOPICS, KeyArea),
        (PROBES, KeyArea),
        (METRICS, Name),
        (RESULTS, OutcomeKind),
        (ENDINGS, Closing),
        (JUDGES, Command),
    ],
)
def test_a_table_has_every_word_and_no_other(table: dict[object, object], words: object) -> None:
    assert set(table) == set(words)  # type: ignore[call-overload]


def test_the_groups_divide_the_statuses() -> None:
    groups = (BEFORE_DISPATCH, BOOK_AWAY, ENDED, TERMINAL)
    assert frozenset().union(*groups) == frozenset(DcbStatus)
    assert sum(len(group) for group in groups) == len(DcbStatus)


def test_every_status_and_workflow_says_what_comes_next() -> None:
    for workflow in Workflow:
        for status in DcbStatus:
            expected = next_expected(status, workflow)
            assert expected is None or expected in DcbStatus


WAYS_BACK = {"9a"}
"""The journey's only step back: what was returned is lent again."""


def test_each_row_follows_its_workflows_journey() -> None:
    for row in (each for each in TRANSITIONS if each.target):
        for workflow in row.workflows:
            if row in rows_from(row.source, workflow):
                journey = JOURNEYS[workflow]
                if row.number in WAYS_BACK:
                    assert journey.index(row.target) < journey.index(DcbStatus.COMPLETED), row.rule
                elif row.source in journey and row.target in journey:
                    assert journey.index(row.source) < journey.index(row.target), row.rule


# --- words have one home -----------------------------------------------------


def test_a_status_word_stands_as_text_only_where_words_live() -> None:
    words = {str(word) for enum in (DcbStatus, ItemState, RequestState, LoanState) for word in enum}
    words.discard("ERROR")  # also the name of a log level
    homes = {"status.py", "mapping.py"}
    found = []
    for path in SOURCES:
        if path.name in homes or "sandbox" in path.parts:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and node.value in words
        ]
    assert found == []


def test_no_module_hides_what_it_is() -> None:
    hiding = re.compile(r"^(utils?|helpers?|common|misc|managers?)$")
    assert [path for path in SOURCES if hiding.match(path.stem)] == []


def test_only_reconcile_decides() -> None:
    callers = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if re.search(r"(?<![\w.])decide\(", path.read_text(encoding="utf-8"))
    ]
    assert callers == ["reconciler/core/decide.py", "reconciler/engine/reconcile.py"]


def test_whatever_writes_to_the_database_is_made_once_more_when_it_has_to_give_way() -> None:
    """But for the schema, which nobody else touches meanwhile."""
    methods = [
        (path.name, node)
        for path in SOURCES
        if path.parent.name == "store" and path.name != "migrate.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and ".write()" in ast.unparse(node)
    ]
    bare = [
        f"{name}: {node.name}"
        for name, node in methods
        if "repeated_once" not in [ast.unparse(each) for each in node.decorator_list]
    ]
    assert len(methods) > 20
    assert bare == []


# --- the repository ----------------------------------------------------------


def test_the_top_level_is_the_one_agreed_on() -> None:
    top = {path.split("/")[0] for path in TRACKED}
    allowed = {"pyproject.toml", "README.md", "LICENSE", "reconciler", "tests", "sql"}
    assert {name for name in top if not name.startswith(".")} <= allowed | {"settings.yaml"}


def test_no_file_names_a_package_registry() -> None:
    hosts = re.compile(r"pypi\.org|pythonhosted|debian\.org|npmjs|registry\.")
    found = [
        name
        for name in TRACKED
        if name != "tests/architecture/test_house.py"
        and hosts.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_the_readme_has_the_diagram_of_the_table() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert mermaid() in readme, "the diagram is stale: run python -m reconciler.cli.diagram"


def test_the_readme_has_the_table_of_the_metrics() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert markdown() in readme, "the table is stale: run python -m reconciler.metrics"


def test_every_setting_is_in_the_commented_settings_file() -> None:
    from reconciler.settings import AlmaSettings, Settings, VirtualPatronSettings, WebhookSink

    text = (ROOT / "settings.yaml").read_text(encoding="utf-8")
    sections = [Settings, AlmaSettings, VirtualPatronSettings, WebhookSink]
    sections += [
        field.annotation
        for field in Settings.model_fields.values()
        if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields")
    ]
    for section in sections:
        for name in section.model_fields:
            assert f"{name}:" in text, f"{section.__name__}.{name}"


def test_the_settings_file_is_itself_valid() -> None:
    from reconciler.settings import Settings
    from reconciler.settings_file import load

    settings = load(ROOT / "settings.yaml", {})
    assert (
        settings.polling
        == Settings.model_validate(
            {"polling": {"cadence": {"LOANED": "6h"}, "too_long": {"PICKUP_TRANSIT": "7d"}}}
        ).polling
    )
