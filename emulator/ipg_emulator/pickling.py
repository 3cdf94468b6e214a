"""A device's state as bytes: what is in it by value, the model and whoever looks on by name. Out of a file comes nothing else
than objects of a device.
"""

from __future__ import annotations

import io
import mmap
import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FunctionType, MethodType
from typing import Any, cast

import msgspec

from ipg_emulator.board.flash import FlashMemory
from ipg_emulator.board.output import CurrentOutput
from ipg_emulator.model import DeviceModel
from ipg_emulator.virtual import VirtualIpg

IPG, PART, BUFFER, ONLOOKERS = "ipg", "part", "buffer", "onlookers"
PICKLE_PROTOCOL = 5
_PACKAGES = (
    "ipg_emulator.board",
    "ipg_emulator.faults",
    "ipg_emulator.firmware",
    "ipg_emulator.model",
    "ipg_emulator.patient",
    "ipg_protocol",
)
"""What is ours in a device."""
_ELSEWHERE = {
    "builtins": frozenset(
        (
            "Exception",
            "bool",
            "bytearray",
            "bytes",
            "complex",
            "dict",
            "float",
            "frozenset",
            "int",
            "list",
            "range",
            "set",
            "slice",
            "str",
            "tuple",
        )
    ),
    "collections": frozenset(("Counter", "OrderedDict", "defaultdict", "deque")),
    "functools": frozenset(("partial",)),
    "msgspec._utils": frozenset(("rebuild",)),
    "random": frozenset(("Random",)),
    "types": frozenset(("GenericAlias",)),
}
"""What else a device is made of."""

Buffer = bytearray | mmap.mmap
Callbacks = list[Callable[..., object]]


class ForeignState(Exception):
    """Bytes name something that no device is made of."""


class StatePickler(pickle.Pickler):
    """Writes the state of a device, and finds on the way what stays when the device is put into another state."""

    def __init__(self, ipg: VirtualIpg) -> None:
        self._written = io.BytesIO()
        super().__init__(self._written, PICKLE_PROTOCOL)
        self.buffers: list[Buffer] = []
        """What every flash memory of the device is kept in."""
        self.onlookers: dict[str, Callbacks] = {}
        """Whoever is called by the device and is no part of it, by the list that they are on."""
        self._names: dict[int, tuple[str, object]] = {id(ipg): (IPG, 0)}
        self._names.update((id(part), (PART, place)) for place, part in enumerate(parts(ipg.firmware.model)))
        self._name_onlookers("watchers", ipg.watchers)
        self._name_onlookers("turned_back", ipg.turned_back)
        self._name_onlookers("observers", ipg.firmware.observers)
        self._name_onlookers("ignored", ipg.firmware.ignored)
        self.dump(vars(ipg))

    @property
    def written(self) -> bytes:
        return self._written.getvalue()

    def persistent_id(self, obj: Any) -> tuple[str, object] | None:
        """What stands for an object in the state; None if it is written out."""
        return self._names.get(id(obj))

    def reducer_override(self, obj: Any) -> Any:
        """Called before an object is written out: look out for those whose parts have names."""
        if isinstance(obj, CurrentOutput):
            self._name_onlookers("listeners", obj.listeners)
        elif isinstance(obj, FlashMemory):
            self._names[id(obj.buffer)] = BUFFER, len(self.buffers)
            self.buffers.append(obj.buffer)
        return NotImplemented

    def _name_onlookers(self, name: str, callbacks: Sequence[Callable[..., object]]) -> None:
        """Let a list of those who are called be written without those that are no part of the device."""
        own = [callback for callback in callbacks if self._is_own(callback)]
        self.onlookers[name] = [callback for callback in callbacks if callback not in own]
        self._names[id(callbacks)] = ONLOOKERS, (name, own)

    def _is_own(self, callback: object) -> bool:
        while isinstance(callback, partial):
            callback = callback.func
        owner = getattr(callback, "__self__", callback)
        return id(owner) in self._names or of_a_device(type(owner).__module__)


class StateUnpickler(pickle.Unpickler):
    """Reads a state back, for a device and a model that are there."""

    def __init__(
        self,
        state: bytes,
        ipg: VirtualIpg,
        model: DeviceModel,
        buffers: list[Buffer],
        onlookers: dict[str, Callbacks],
        *,
        only_ours: bool,
    ) -> None:
        """With `only_ours`, what is no part of a device is not looked for."""
        super().__init__(io.BytesIO(state))
        self._named: dict[str, Sequence[object]] = {IPG: [ipg], PART: list(parts(model)), BUFFER: buffers}
        self._onlookers = onlookers
        self._only_ours = only_ours

    def persistent_load(self, pid: Any) -> Any:
        kind, which = pid
        if kind == ONLOOKERS:
            name, own = which
            return own + self._onlookers.get(name, [])
        return self._named[kind][which]

    def find_class(self, module: str, name: str, /) -> Any:
        """The class or function of a name.

        Raises:
            ForeignState: no device is made of it.
        """
        if not self._only_ours or name in _ELSEWHERE.get(module, ()):
            return super().find_class(module, name)
        if (module, name) == ("builtins", "getattr"):
            return _method
        if of_a_device(module):
            found = super().find_class(module, name)
            if isinstance(found, (type, FunctionType)) and found.__module__ == module:
                return found
        raise ForeignState(f"{module}.{name}")


def parts(part: object) -> Iterator[object]:
    """A model and all that it consists of, always in the same order."""
    if isinstance(part, msgspec.Struct):
        yield part
        for name in part.__struct_fields__:
            yield from parts(getattr(part, name))
    elif isinstance(part, tuple):
        yield part
        for element in cast("tuple[object, ...]", part):
            yield from parts(element)
    elif isinstance(part, dict):
        for value in cast("dict[object, object]", part).values():
            yield from parts(value)


def of_a_device(module: str) -> bool:
    """Whether objects of a module are parts of a device."""
    return any(module == package or module.startswith(f"{package}.") for package in _PACKAGES)


def _method(owner: object, name: str) -> MethodType:
    """A bound method of a part of a device. In place of `getattr`, by which anything could be reached."""
    kind = type(owner)
    is_part = kind is VirtualIpg or of_a_device(kind.__module__)
    method = getattr(kind, name, None)
    if not is_part or not isinstance(method, FunctionType):
        raise ForeignState(f"{name} of {kind.__module__}.{kind.__name__}")
    return MethodType(method, owner)
