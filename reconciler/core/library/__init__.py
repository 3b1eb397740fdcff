"""How one Alma stands with us: whether it may be called, when its desks are open, what its lists
tell.

Nothing in here knows a single transaction's rules. Begin with `breaker.py`; `bulk.py` is what one
list of a hundred bibs hints at, and what such hints are worth."""
