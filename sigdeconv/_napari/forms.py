"""Forms of magicgui's widgets: rows with a label, the fields for a function's parameters, a list of layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter as Signature
from typing import Any

from .parameters import Parameter

NUMBER = "number:"  # the last choice, which opens the field beside it


LABEL = 130  # pixels: labels of nested forms stand below each other; longer ones are wrapped
FIELD, LIST = 60, 110  # pixels at least; the latter beside a field
BAR = 24  # pixels of a scroll bar and its margin


def row(label: str, widget: Any, tooltip: str = "") -> Any:
    """A label and a field."""
    from magicgui.widgets import Label

    text = Label(value=label, tooltip=tooltip)
    text.min_width = text.max_width = LABEL
    text.native.setWordWrap(True)
    widget.tooltip = tooltip
    widget.min_width = FIELD  # a list with long entries would make the panel wider than its dock
    return column(text, widget, layout="horizontal")


def column(*widgets: Any, layout: str = "vertical") -> Any:
    """Widgets below each other, or beside."""
    from magicgui.widgets import Container

    box = Container(widgets=list(widgets), labels=False, layout=layout)
    box.margins = (0, 0, 0, 0)
    return box


def note() -> Any:
    """Lines to say something, as wide as there is room."""
    from magicgui.widgets import Label

    label = Label()
    label.native.setWordWrap(True)
    return label


def scrolled(panel: Any) -> Any:
    """What napari docks: the panel's widgets, which may be higher than the window. It keeps the panel alive.

    Work that goes on when it is closed has nobody to come back to, and ends.
    """
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QScrollArea

    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(panel.widget.native)
    area.setMinimumWidth(panel.widget.native.minimumSizeHint().width() + BAR)
    area.panel = panel

    def gone() -> None:
        if panel.task is not None:
            panel.task.gone = panel.task.cancelled = True

    area.destroyed.connect(gone)
    return area


class LayerList:
    """A list of the viewer's images that follows the viewer."""

    def __init__(self, viewer: Any, fits: Callable[[Any], bool]) -> None:
        """`fits` tells which layer to take before anyone has chosen."""
        from magicgui.widgets import ComboBox

        self.viewer, self.fits = viewer, fits
        self.widget: Any = ComboBox(choices=self._images, nullable=True)
        for name in ("inserted", "removed", "reordered", "renamed"):
            if hasattr(viewer.layers.events, name):  # early versions of napari do not say that a layer was renamed
                getattr(viewer.layers.events, name).connect(self._follow)
        self._follow()

    @property
    def value(self) -> Any:
        """The layer, or None."""
        return self.widget.value

    @value.setter
    def value(self, layer: Any) -> None:
        self.widget.value = layer

    def _images(self, _: Any) -> list[Any]:
        from napari.layers import Image

        return [layer for layer in self.viewer.layers if isinstance(layer, Image)]

    def _follow(self, _: Any = None) -> None:
        self.widget.reset_choices()
        if self.value is None:
            self.value = next((layer for layer in self._images(None) if self.fits(layer)), None)


class Form:
    """The fields for a function's parameters, in one widget."""

    def __init__(self, asked: Sequence[Parameter], start: Mapping[str, str] | None = None) -> None:
        start = {} if start is None else start
        self.fields = {parameter.name: _Field(parameter, start.get(parameter.name)) for parameter in asked}
        self.widget: Any = column(*(field.row for field in self.fields.values()))

    def values(self) -> dict[str, Any]:
        """What was typed and chosen, by the names of the function."""
        return {name: field.value() for name, field in self.fields.items()}


class _Field:
    """One parameter: a list of choices, a line to type into, or both."""

    def __init__(self, parameter: Parameter, start: str | None) -> None:
        from magicgui.widgets import CheckBox, ComboBox, LineEdit

        self.parameter = parameter
        default = parameter.default
        typed = "" if default is None or default is Signature.empty else _written(default)
        self.choices = dict(parameter.choices)  # the list holds the labels: Qt keeps text as it is
        labels = list(self.choices)
        self.list: Any = None
        self.line: Any = None
        if not labels:
            widget = self.line = LineEdit(value=start or typed)
        elif list(self.choices.values()) == [True, False]:
            widget = self.list = CheckBox(value=default, text="")
            self.choices = {}
        elif parameter.number is None:
            widget = self.list = ComboBox(choices=labels, value=self._label(default))
        else:
            first = NUMBER if start or typed else self._label(default)
            self.list = ComboBox(choices=[*labels, NUMBER], value=first)
            self.line = LineEdit(value=start or typed)
            self.list.min_width, self.line.min_width = LIST, FIELD
            widget = column(self.list, self.line, layout="horizontal")
            self._open()
            self.list.changed.connect(lambda _: self._open())
        self.row = row(parameter.label, widget, parameter.text)

    def _label(self, value: Any) -> str:
        return next(label for label, meant in self.choices.items() if meant == value and type(meant) is type(value))

    def _open(self) -> None:
        self.line.enabled = self.list.value == NUMBER

    def value(self) -> Any:
        """What the function is to be given."""
        if self.list is not None and self.list.value != NUMBER:
            return self.choices.get(self.list.value, self.list.value)
        text = self.line.value
        return text.strip() if self.parameter.number is None else self.parameter.parse(text)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"
