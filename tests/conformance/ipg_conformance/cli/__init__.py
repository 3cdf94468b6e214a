"""The command line: `ipg-conformance`."""

from ipg_conformance.cli.main import main
from ipg_conformance.cli.parser import parser

__all__ = ["main", "parser"]
