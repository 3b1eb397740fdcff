"""What the evidence proves: one function per fact, in the words of workflow.md §2 and §3.

A fact holds, waits for something that cannot be said yet, or does not hold. It also names the reads
that would let it be said, given what this look already showed; `lookahead` collects them. Facts
know sides ("supplier", "pickup side"); when a fact matters is the business of `transitions`. Begin
with `finding.py`, then follow the book: `outward`, `homeward`; `unfilled` is what ends without a
loan, and `renewal` what asks for an act while the status stays."""
