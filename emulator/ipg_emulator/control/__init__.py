"""What can be asked of a virtual device from outside, beside its link: declared once, for Python, HTTP and the shell."""

from ipg_emulator.control.operation import OPERATIONS, Operation, OperationError, StillToCome, operation, perform

__all__ = ["OPERATIONS", "Operation", "OperationError", "StillToCome", "operation", "perform"]
