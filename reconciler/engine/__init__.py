"""The shell around `core`: claims what is due, reads, lets `core` decide, has it written, acts.

One look: `cycle.py` claims due transactions of a library under a lease, `observe.py` reads Alma
with no database transaction open, `reconcile.py` is the only caller of `decide`, `settling.py`
makes of a decision what is written in one database transaction, `effects/` carries intents out and
checks that they happened. `daemon.py` does that for ever, `hands.py` when a person says so,
`intake.py` and `submit.py` bring transactions in, `views.py` shows them. What the outside is, it
knows only by `ports`. Nothing enters that a value of `core` could decide."""
