"""`python -m reconciler` and the installed command."""

import gc

gc.disable()  # modules stay for good: collecting among them costs a tenth of a command's start

from reconciler.cli.main import main  # noqa: E402

gc.freeze()
gc.enable()

if __name__ == "__main__":
    main()
