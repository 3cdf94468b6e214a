"""The commands of `ipg-host` as one table, a module for each feature."""

from ipg_host.cli.verbs import device, log, programs, sensing, therapy

VERBS = (*device.VERBS, *programs.VERBS, *therapy.VERBS, *sensing.VERBS, *log.VERBS)

__all__ = ["VERBS"]
