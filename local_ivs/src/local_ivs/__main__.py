"""`python -m local_ivs`, the same as the command `local-ivs`."""

from __future__ import annotations

from local_ivs.command import main

if __name__ == "__main__":
    main()
