"""The command `tokensvc`, also as `python -m tokensvc`.

An installation for the library alone has the command, but not the packages that it needs. So this
module imports them inside `main`.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command, or print what to install for it, with exit status 1."""
    try:
        from tokensvc.cli.main import main as run  # Here, so that a missing package can be named.
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package == "tokensvc":
            raise
        sys.exit(
            f"Error: The command tokensvc needs the package {package}, which is not installed.\n"
            "Install it with `pip install 'tokensvc[service]'`."
        )
    run()


if __name__ == "__main__":
    main()
