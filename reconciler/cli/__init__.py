"""The commands: each reads its options, builds the app, asks the engine, prints, and ends with a
code.

`main.py` is the list of them; `output.py` prints tables, JSON and CSV; `exits.py` has the codes.
Nothing is decided here, and nothing is printed that holds a key or a name.
"""
