"""The transition table as a Mermaid state diagram, for the README (a test keeps it current)."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.core.transitions import BY_HAND, TRANSITIONS


def mermaid() -> str:
    """One arrow for each pair of statuses, labelled with the rows that lead along it."""
    return "\n".join(["stateDiagram-v2", *_arrows()])


def _arrows() -> Iterator[str]:
    labels: dict[tuple[str, str], dict[str, None]] = {}
    for row in TRANSITIONS:
        if row.target is None:
            continue
        label = f"{row.number} {row.rule}"
        labels.setdefault((row.source, row.target), {})[label] = None
    for before, after, rule in BY_HAND:
        labels.setdefault((before, after), {})[rule] = None
    for (source, target), rules in labels.items():
        yield f"    {source} --> {target}: {' / '.join(rules)}"


if __name__ == "__main__":
    print(mermaid())
