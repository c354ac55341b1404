"""`python -m demo` starts Local IVS, the service and the example application."""

from __future__ import annotations

from demo.launcher.command import demo

if __name__ == "__main__":
    demo(prog_name="python -m demo")
