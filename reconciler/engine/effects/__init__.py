"""The ensure verbs: each looks first, writes only what is missing, and looks again.

`runner.py` takes open intents one by one and is the only place that sends; `verbs.py` says which
verb carries out which kind; `ending.py` says what becomes of an intent after a try. A verb is a
class with `look` and `send` in the file of what it touches. What is wanted at all is decided in
`core/effects.py`."""
