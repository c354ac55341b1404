"""`python -m tokensvc` runs the command `tokensvc`."""

from __future__ import annotations

from tokensvc.cli.main import main

if __name__ == "__main__":
    main()
