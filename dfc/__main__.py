"""`python -m dfc` and the `dfc` command."""

from __future__ import annotations

from dfc.cli.app import main

if __name__ == "__main__":
    main()
