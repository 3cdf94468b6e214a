"""Why a requirement has no valid, or no invalid, case: what no host can bring about over the link."""

from __future__ import annotations

_DAMAGE = "no command damages the storage"
_WEAR = "no command wears the storage out"
_PORT = "one port is all that a run has"
_BATTERY = "no command empties a battery"
_USE = "the use period takes days"

WITHOUT_VALID: dict[str, str] = {
    "REQ-PRT-001": _PORT,
    "REQ-STG-001": _DAMAGE,
    "REQ-STG-002": _WEAR,
    "REQ-USE-001": _USE,
}
"""Requirements without a case of valid behaviour or of limits and timing (BV, LT), each with the reason."""

WITHOUT_INVALID: dict[str, str] = {
    "REQ-BAT-002": _BATTERY,
    "REQ-PRT-001": _PORT,
    "REQ-STG-001": _DAMAGE,
    "REQ-STG-002": _WEAR,
    "REQ-USE-001": _USE,
}
"""Requirements without a case of what is invalid, inopportune or hostile (BI, BO, RT), each with the reason."""
