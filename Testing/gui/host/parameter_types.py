"""Types, validators and text form of the parameters of a `parameterNodeWrapper` class."""

from __future__ import annotations

import enum
import json
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer

MISSING = object()


class Validator:
    """An annotation that a value must agree with."""

    def validate(self, value: Any) -> None:
        """Raise ValueError for a value that does not fit."""
        raise NotImplementedError


class WithinRange(Validator):
    """Between two limits, both included."""

    def __init__(self, minimum: float, maximum: float) -> None:
        if minimum > maximum:
            raise ValueError(f"minimum {minimum} is above maximum {maximum}")
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: Any) -> None:
        """Raise ValueError outside the limits."""
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within [{self.minimum}, {self.maximum}]")


class Minimum(WithinRange):
    """At least this."""

    def __init__(self, minimum: float) -> None:
        super().__init__(minimum, float("inf"))


class Maximum(WithinRange):
    """At most this."""

    def __init__(self, maximum: float) -> None:
        super().__init__(float("-inf"), maximum)


class Choice(Validator):
    """One of these."""

    def __init__(self, choices: Any) -> None:
        self.choices = list(choices)

    def validate(self, value: Any) -> None:
        """Raise ValueError for anything else."""
        if value not in self.choices:
            raise ValueError(f"{value!r} is not one of {self.choices}")


class Exclude(Validator):
    """None of these."""

    def __init__(self, values: Any) -> None:
        self.values = list(values)

    def validate(self, value: Any) -> None:
        """Raise ValueError for one of them."""
        if value in self.values:
            raise ValueError(f"{value!r} is excluded")


class NotNone(Validator):
    """Anything but None."""

    def validate(self, value: Any) -> None:
        """Raise ValueError for None."""
        if value is None:
            raise ValueError("None is not allowed")


@dataclass(frozen=True)
class Default:
    """The default of an annotated parameter."""

    value: Any


@dataclass(frozen=True)
class Decimals:
    """Digits that a widget shows."""

    value: int


@dataclass(frozen=True)
class SingleStep:
    """Step of a widget."""

    value: float


@dataclass(frozen=True)
class Label:
    """Text of the widget's label."""

    value: str


@dataclass(frozen=True)
class Parameter:
    """One typed attribute of a wrapped parameter node.

    Attributes:
        name: the attribute, and the key in the node.
        kind: the Python type without Annotated and Optional; a list keeps its element type.
        annotations: what Annotated adds.
        default: value of a node that does not hold the parameter yet.
        is_optional: whether None may be written.
    """

    name: str
    kind: Any
    annotations: tuple[Any, ...]
    default: Any
    is_optional: bool

    @property
    def is_node(self) -> bool:
        """Whether the value is a node of the scene, kept as a node reference."""
        return isinstance(self.kind, type) and issubclass(self.kind, slicer.vtkMRMLNode)

    def read(self, node: Any) -> Any:
        """The present value in a parameter node."""
        if self.is_node:
            return node.GetNodeReference(self.name)
        if not self.is_in(node):
            return self.default
        return _from_text(self.kind, node.GetParameter(self.name))

    def is_in(self, node: Any) -> bool:
        """Whether the node holds a value of its own."""
        return self.is_node or self.name in node.GetParameterNames()

    def write(self, node: Any, value: Any) -> None:
        """Store a value.

        Raises:
            TypeError: a value of another type.
            ValueError: a value that an annotation forbids.
        """
        value = self._checked(value)
        for annotation in self.annotations:
            if isinstance(annotation, Validator):
                annotation.validate(value)
        if self.is_node:
            node.SetNodeReferenceID(self.name, None if value is None else value.GetID())
        else:
            node.SetParameter(self.name, _to_text(value))

    def _checked(self, value: Any) -> Any:
        base = typing.get_origin(self.kind) or self.kind
        if value is None:
            if self.is_node or self.is_optional:
                return None
        elif base is float and type(value) is int:
            return float(value)
        elif base is Path and isinstance(value, str):
            return Path(value)
        elif isinstance(value, base) and not (base in {int, float} and isinstance(value, bool)):
            return value
        raise TypeError(f"{self.name} takes {self.kind}, not {value!r}")


def make_parameter(name: str, hint: Any, default: Any = MISSING) -> Parameter:
    """Read a type hint.

    Raises:
        TypeError: a type that this stand-in, though maybe not Slicer, cannot keep.
    """
    annotations: tuple[Any, ...] = ()
    if typing.get_origin(hint) is typing.Annotated:
        hint, *extras = typing.get_args(hint)
        annotations = tuple(extras)
    is_optional = False
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        is_optional = len(members) < len(typing.get_args(hint))
        if len(members) != 1:
            raise TypeError(f"{name}: unions of several types are not emulated")
        hint = members[0]
    if default is MISSING:
        given = [extra.value for extra in annotations if isinstance(extra, Default)]
        default = given[0] if given else _blank(name, hint, is_optional)
    return Parameter(name, hint, annotations, default, is_optional)


def _blank(name: str, kind: Any, is_optional: bool) -> Any:
    base = typing.get_origin(kind) or kind
    if not isinstance(base, type):
        raise TypeError(f"{name}: {kind} is not emulated")
    if is_optional or issubclass(base, slicer.vtkMRMLNode):
        return None
    if issubclass(base, enum.Enum):
        return next(iter(base))
    if base not in {bool, int, float, str, Path, list, dict}:
        raise TypeError(f"{name}: {kind} is not emulated")
    return base()


def _to_text(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (list, dict)):
        return json.dumps(value)
    return str(value)


def _from_text(kind: Any, text: str) -> Any:
    base = typing.get_origin(kind) or kind
    if text == "None":
        return None
    if issubclass(base, enum.Enum):
        return base[text]
    readers: dict[Any, Callable[[str], Any]] = {
        bool: lambda t: t == "True",
        list: json.loads,
        dict: json.loads,
    }
    return readers.get(base, base)(text)
