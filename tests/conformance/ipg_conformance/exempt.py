"""Why a requirement has no valid, or no invalid, case: what neither a host nor an input beside the link brings about."""

from __future__ import annotations

_DAMAGE = "neither a command nor an input damages the storage"
_WEAR = "neither a command nor an input wears the storage out"

WITHOUT_VALID: dict[str, str] = {
    "REQ-STG-001": _DAMAGE,
    "REQ-STG-002": _WEAR,
}
"""Requirements without a case of valid behaviour or of limits and timing (BV, LT), each with the reason."""

WITHOUT_INVALID: dict[str, str] = {
    "REQ-STG-001": _DAMAGE,
    "REQ-STG-002": _WEAR,
}
"""Requirements without a case of what is invalid, inopportune or hostile (BI, BO, RT), each with the reason."""
