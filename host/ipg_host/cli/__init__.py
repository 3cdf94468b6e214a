"""`ipg-host`: every conversation of the library as a command."""

from ipg_host.cli.main import main

__all__ = ["main"]
