"""Signals the PythonQt way, and a list of what went wrong inside slots.

`button.connect("clicked()", f)` takes a C++ signature and raises when there is no such signal;
`button.clicked.connect(f)` works beside it. A Python slot gets no more arguments than it can take;
a C++ slot gets all of them, and one that does not take them fails, as PythonQt has it. An
exception in a slot does not stop the program; it is kept in `slot_errors`, which tests assert
empty.
"""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Callable
from types import FunctionType, MethodType, TracebackType
from typing import Any

import shiboken6
from PySide6 import QtCore

from Testing.gui.host.properties import qt_classes

Slot = Callable[..., Any]


class SlotErrors(list[BaseException]):
    """Exceptions raised in slots, timers and virtual functions since the last `clear()`."""

    def report(self) -> str:
        """All tracebacks as one text; empty when nothing went wrong."""
        return "\n".join("".join(traceback.format_exception(error)) for error in self)

    def collect(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        """Take an exception that Qt could not pass on; for `sys.excepthook`."""
        self.append(error)
        traceback.print_exception(kind, error, trace, file=sys.stderr)


slot_errors = SlotErrors()


class BoundSignal:
    """A signal of one object, as `object.signal` gives it: its longest overload."""

    def __init__(self, owner: Any, name: str, native: Any) -> None:
        self.owner, self.name, self.native = owner, name, native

    def connect(self, slot: Any, *_connection_type: Any) -> None:
        """Call `slot`, or emit another signal, each time this one is emitted."""
        self.owner.connect(_longest_signature(self.owner, self.name), slot)

    def disconnect(self, *slot: Any) -> bool:
        """Undo `connect`; without a slot, every connection made to this signal."""
        return self.owner.disconnect(_longest_signature(self.owner, self.name), *slot)

    def emit(self, *values: Any) -> None:
        """Send the signal."""
        self.native.emit(*values)

    __call__ = emit


_connections: dict[int, dict[str, list[tuple[Slot, Slot]]]] = {}
_static_connect = QtCore.QObject.connect
_static_disconnect = QtCore.QObject.disconnect


def install_signals() -> None:
    """Give every Qt object the PythonQt `connect` and `disconnect`; once per process."""
    for cls in qt_classes():  # a few classes beside QObject have a lookup of their own
        native = vars(cls).get("__getattribute__")
        if native is not None and not isinstance(native, FunctionType):
            cls.__getattribute__ = _reading(native)


def _reading(native: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """PySide's lookup gives its own connect whatever the class says, and all else needs it."""

    def read(self: Any, name: str) -> Any:
        if name == "connect":
            return MethodType(connect, self)
        if name == "disconnect":
            return MethodType(disconnect, self)
        value = native(self, name)
        if type(value).__name__ == "SignalInstance":
            return BoundSignal(self, name, value)
        return value

    return read


def connect(self: Any, signal: str, *receiver: Any) -> bool:
    """Connect `signal`, a C++ signature, to a callable or to (object, slot signature).

    Raises:
        ValueError: there is no such signal, or nothing callable to connect it to.
    """
    if isinstance(signal, QtCore.QObject):
        # QTimer.singleShot asks its own timer in the static form: connect(sender, signal, slot).
        return _static_connect(signal, receiver[0], _guarded(_receiver(receiver[1:]), 0))
    signature = normalized(signal)
    slot = _receiver(receiver)
    declared = _declared(self).get(signature)
    guarded = _guarded(slot, _arity(signature))
    if declared is not None:
        getattr(self, declared).native.connect(guarded)
    elif self.metaObject().indexOfSignal(signature) >= 0:
        _static_connect(self, QtCore.SIGNAL(signature), guarded)
    else:
        raise ValueError(f"connect: no signal '{signal}' in {type(self).__name__}")
    _remember(self, signature, slot, guarded)
    return True


def disconnect(self: Any, signal: str, *receiver: Any) -> bool:
    """Undo `connect` with the same arguments; without a receiver, all of this signal's.

    Returns:
        Whether there was such a connection.
    """
    signature = normalized(signal)
    slot = _receiver(receiver) if receiver else None
    declared = _declared(self).get(signature)
    known = _connections.get(_address(self), {}).get(signature, [])
    gone = [pair for pair in known if slot is None or pair[0] == slot]
    for pair in gone:
        known.remove(pair)
        if declared is not None:
            getattr(self, declared).native.disconnect(pair[1])
        else:
            _static_disconnect(self, QtCore.SIGNAL(signature), pair[1])
    return bool(gone)


def receivers(instance: Any) -> list[Slot]:
    """Everything that is connected to an object's signals by name."""
    known = _connections.get(_address(instance), {})
    return [slot for pairs in known.values() for slot, _ in pairs]


def normalized(signal: str) -> str:
    """The signature as Qt's meta object spells it, without the leading 2 of SIGNAL().

    Raises:
        ValueError: this is no signature.
    """
    text = signal.removeprefix("2").strip()
    if not re.fullmatch(r"\w+\s*\(.*\)", text):
        raise ValueError(f"'{signal}' is no signal signature: name(types) is needed")
    text = re.sub(r"\bconst\s+([^,()]*?)\s*&", r"\1", text)
    return re.sub(r"\s*([(),*&<>])\s*", r"\1", text)


def _receiver(receiver: tuple[Any, ...]) -> Slot:
    slot = receiver[0] if receiver else None
    if len(receiver) == 2 and isinstance(receiver[1], str):
        slot = getattr(receiver[0], receiver[1].removeprefix("1").split("(")[0])
    if isinstance(slot, BoundSignal):
        slot = slot.emit
    if not callable(slot):
        raise ValueError(f"connect: {slot!r} cannot be called")
    return slot


def _declared(instance: Any) -> dict[str, str]:
    """Signature: attribute, for the signals of stand-ins whose types Qt does not know."""
    found: dict[str, str] = {}
    for cls in reversed(type(instance).__mro__):
        found.update(vars(cls).get("SIGNATURES", {}))
    return found


def _address(instance: Any) -> int:
    return shiboken6.getCppPointer(instance)[0]


def _remember(instance: Any, signature: str, slot: Slot, guarded: Slot) -> None:
    """Keep what `disconnect` needs for as long as the C++ object lives."""
    address = _address(instance)
    if address not in _connections:
        _connections[address] = {}
        gone = QtCore.SIGNAL("destroyed()")
        _static_connect(instance, gone, lambda: _connections.pop(address, None))
    _connections[address].setdefault(signature, []).append((slot, guarded))


def _longest_signature(instance: Any, name: str) -> str:
    declared = [key for key, attribute in _declared(instance).items() if attribute == name]
    if declared:
        return declared[0]
    meta = instance.metaObject()
    methods = (meta.method(index) for index in range(meta.methodCount()))
    found = [
        bytes(m.methodSignature()).decode() for m in methods if bytes(m.name()).decode() == name
    ]
    if not found:
        raise ValueError(f"no signal '{name}' in {type(instance).__name__}")
    return max(found, key=_arity)


def _arity(signature: str) -> int:
    arguments = signature[signature.index("(") + 1 : -1]
    return len([part for part in arguments.split(",") if part])


def _guarded(slot: Slot, arity: int) -> Slot:
    most = _most_arguments(slot)
    taken = min(arity, most)

    def call(*values: Any) -> None:
        try:
            if arity > most and _is_cpp_slot(slot):
                raise ValueError(f"Called {slot.__name__} with {arity} arguments, it takes {most}")
            slot(*values[:taken])
        except Exception:
            slot_errors.collect(*sys.exc_info())

    return call


def _is_cpp_slot(slot: Slot) -> bool:
    """Whether this is a public method of an object that is C++ in Slicer."""
    owner = getattr(slot, "__self__", None)
    if not isinstance(owner, QtCore.QObject) or slot.__name__.startswith("_"):
        return False
    where = next((c.__module__ for c in type(owner).__mro__ if slot.__name__ in vars(c)), "")
    return where.startswith(("PySide6", __package__ or "Testing.gui.host"))


def _most_arguments(slot: Slot) -> int:
    try:
        parameters = inspect.signature(slot).parameters.values()
    except (TypeError, ValueError):
        return sys.maxsize
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return sys.maxsize
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional for p in parameters)
