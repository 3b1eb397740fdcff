"""What people order of one transaction: poll, park, retry, close, and the hand-over of what is
left.

Pure, as `decide` is: a snapshot and a command in, a step or the reason for none out; the engine
writes it down (`engine/hands.py`). Nothing enters that a look could conclude by itself. Begin with
`command.py`; `close.py` and `retry.py` are the two with rules of their own; `placing.py` is what a
caller gives us to place a request with."""
