"""Stand-in for `slicer.parameterNodeWrapper`: typed attributes on a vtkMRMLScriptedModuleNode.

Covers bool, int, float, str, Path, Enum, lists and dictionaries of these, nodes, Optional and
the validators. Parameter packs, ranges and unions are not emulated: they raise TypeError.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

import vtk

from Testing.gui.host.parameter_gui import Binding, bind, named_widgets
from Testing.gui.host.parameter_types import (
    MISSING,
    Choice,
    Decimals,
    Default,
    Exclude,
    Label,
    Maximum,
    Minimum,
    NotNone,
    Parameter,
    SingleStep,
    Validator,
    WithinRange,
    make_parameter,
)

__all__ = [
    "Choice", "Decimals", "Default", "Exclude", "Label", "Maximum", "Minimum", "NotNone",
    "SingleStep", "Validator", "WithinRange", "parameterNodeWrapper",
]  # fmt: skip

# What a wrapper passes on to its node, so that it can be observed like one.
PASSED_ON = ("AddObserver", "RemoveObserver", "StartModify", "EndModify", "Modified")


def parameterNodeWrapper(cls: type | None = None) -> Any:
    """Class decorator; see the developer guide's "Parameter node wrapper"."""
    if cls is None:
        return parameterNodeWrapper
    hints = typing.get_type_hints(cls, include_extras=True)
    parameters = {
        name: make_parameter(name, hint, vars(cls).get(name, MISSING))
        for name, hint in hints.items()
    }
    members: dict[str, Any] = {name: _accessor(p) for name, p in parameters.items()}
    members["allParameters"] = parameters
    for name in PASSED_ON:
        members[name] = _passing_on(name)
    for name in ("__init__", *(n for n in vars(_Wrapper) if not n.startswith("__"))):
        members[name] = vars(_Wrapper)[name]
    for name, member in members.items():
        setattr(cls, name, member)
    return cls


def _accessor(parameter: Parameter) -> property:
    return property(
        lambda self: _read(parameter, self.parameterNode),
        lambda self, value: parameter.write(self.parameterNode, value),
    )


def _read(parameter: Parameter, node: Any) -> Any:
    """A value; one that a closed scene took away is its default again, and written."""
    if not parameter.is_in(node):
        parameter.write(node, parameter.default)
    return parameter.read(node)


def _passing_on(name: str) -> Any:
    return lambda self, *arguments: getattr(self.parameterNode, name)(*arguments)


class _Wrapper:
    """The methods that every wrapped class gets."""

    allParameters: dict[str, Parameter]

    def __init__(self, parameterNode: Any) -> None:
        self.parameterNode = parameterNode
        self._bindings: dict[int, list[Binding]] = {}
        self._next_tag = 0
        self._is_updating = False
        modified = parameterNode.StartModify()
        for parameter in self.allParameters.values():
            if not parameter.is_in(parameterNode):
                parameter.write(parameterNode, parameter.default)
        parameterNode.EndModify(modified)

    def default(self, name: str) -> Any:
        """The default of a parameter."""
        return self.allParameters[name].default

    def dataType(self, name: str) -> Any:
        """The type of a parameter."""
        return self.allParameters[name].kind

    def getValue(self, name: str) -> Any:
        """A parameter by name."""
        return _read(self.allParameters[name], self.parameterNode)

    def setValue(self, name: str, value: Any) -> None:
        """Write a parameter by name."""
        self.allParameters[name].write(self.parameterNode, value)

    def connectGui(self, gui: Any) -> None:
        """Bind the widgets whose dynamic property SlicerParameterName names a parameter.

        As in Slicer 5.10 the tag is lost: nobody can undo it.

        Args:
            gui: a widget, or what `slicer.util.childWidgetVariables` gives.

        Raises:
            ValueError: a widget names a parameter that there is not.
            RuntimeError: no way to bind that widget to a value of that type.
        """
        found = {}
        for widget in named_widgets(gui):
            name = widget.property("SlicerParameterName")
            if name not in self.allParameters:
                raise ValueError(f"{widget.objectName} names no parameter: {name!r}")
            found[name] = widget
        self.connectParametersToGui(found)

    def connectParametersToGui(self, mapping: Mapping[str, Any]) -> int:
        """Bind the widgets of a {parameter: widget} mapping; returns the tag."""
        bindings = [bind(self.allParameters[name], widget) for name, widget in mapping.items()]
        tag = self._next_tag
        self._next_tag += 1
        self._bindings[tag] = bindings
        for binding in bindings:
            binding.write(_read(binding.parameter, self.parameterNode))
            binding.listen(lambda *_, binding=binding: self._take(binding))
        self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show())
        return tag

    def disconnectGui(self, tag: int | None) -> None:
        """Part the widgets of a connection; the node's observer stays, as in Slicer."""
        for binding in self._bindings.pop(tag, []):  # type: ignore[call-overload]
            binding.unlisten()

    def _show(self) -> None:
        if self._is_updating:
            return
        self._is_updating = True
        try:
            for bindings in self._bindings.values():
                for binding in bindings:
                    binding.write(_read(binding.parameter, self.parameterNode))
        finally:
            self._is_updating = False

    def _take(self, binding: Binding) -> None:
        if self._is_updating:
            return
        binding.parameter.write(self.parameterNode, binding.read())
