"""`doctor`: looks at settings, keys, database and every code in each Alma, and says what to do.

Reads only. `checkup.py` runs the checks and puts their findings together; one file per kind of
thing looked at. Begin with `findings.py`."""
