"""One look laid over the snapshot: whose is it, what does each leg show, what is kept of it.

`ours.py` says what is ours by ids, `leg_view.py` answers the questions of the rules about one leg,
`look.py` puts the legs together, `memory.py` is what stays once the look is over. No rule of a
status enters here: when an answer matters is the business of `evidence/` and `transitions.py`."""
