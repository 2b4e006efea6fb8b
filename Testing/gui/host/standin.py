"""What every class has that stands for a C++ class of Slicer or CTK.

`Prop` declares a Q_PROPERTY: attribute, `setX` slot and, by way of the .ui loader, a value in a
.ui file. `SIGNATURES` names the signals whose argument types Qt does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from PySide6 import QtCore


class Prop:
    """A property of a stand-in, kept in the object.

    Args:
        default: value before the first write.
        kind: what written values are turned into, for example `float`.
        changed: name of a method to call after a change; it takes no argument.
        signal: name of a signal to emit with the new value after a change.
    """

    def __init__(
        self,
        default: Any = None,
        *,
        kind: Callable[[Any], Any] | None = None,
        changed: str = "",
        signal: str = "",
    ) -> None:
        self.default, self.kind, self.changed, self.signal = default, kind, changed, signal
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        setter = f"set{name[0].upper()}{name[1:]}"
        if setter not in vars(owner):
            setattr(owner, setter, lambda this, value: setattr(this, name, value))

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        value = instance.__dict__.get(f"_{self.name}", self.default)
        return list(value) if isinstance(value, list) else value

    def __set__(self, instance: Any, value: Any) -> None:
        value = value if self.kind is None or value is None else self.kind(value)
        if value == self.__get__(instance):
            return
        instance.__dict__[f"_{self.name}"] = value
        if self.changed:
            getattr(instance, self.changed)()
        if self.signal:
            getattr(instance, self.signal).emit(value)


class Computed:
    """A property of a stand-in whose value lives elsewhere, in a child widget or in a node."""

    def __init__(
        self, read: Callable[[Any], Any], write: Callable[[Any, Any], Any] | None = None
    ) -> None:
        self.read, self.write, self.name = read, write, ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        setter = f"set{name[0].upper()}{name[1:]}"
        if self.write is not None and setter not in vars(owner):
            setattr(owner, setter, self.write)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else self.read(instance)

    def __set__(self, instance: Any, value: Any) -> None:
        if self.write is None:
            raise AttributeError(f"property '{self.name}' is read only")
        self.write(instance, value)


class StandIn:
    """Mixin for a Qt class that stands for a C++ class; unknown attributes are refused."""

    STANDS_FOR_CPP: ClassVar[bool] = True
    SIGNATURES: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        # A module's own subclass is a Python class and may have any attribute.
        if cls.__module__.startswith(__package__ or "host"):
            cls.STANDS_FOR_CPP = True

    def property(self, name: str) -> Any:
        """Qt's generic read: a declared property, else a dynamic one."""
        declared = getattr(type(self), name, None)
        if isinstance(declared, (Prop, Computed)):
            return getattr(self, name)
        return QtCore.QObject.property(self, name)

    def setProperty(self, name: str, value: Any) -> bool:
        """Qt's generic write; False for a dynamic property, as in Qt."""
        if isinstance(getattr(type(self), name, None), (Prop, Computed)):
            setattr(self, name, value)
            return True
        return QtCore.QObject.setProperty(self, name, value)


def declared_properties(cls: type) -> set[str]:
    """Names of the properties that a stand-in declares itself."""
    return {
        name
        for base in cls.__mro__
        for name, value in vars(base).items()
        if isinstance(value, (Prop, Computed))
    }
