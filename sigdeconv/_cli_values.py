"""Kinds of values that options take: lists of numbers, a number or a word, bounds, an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # generic in recent versions only


class Numbers(_ParamType):
    """Numbers with commas between them: ``3`` or ``5,15,15``."""

    def __init__(self, kind: type[int] | type[float], metavar: str) -> None:
        self.kind, self.name = kind, metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of numbers."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self.kind(part) for part in str(value).split(","))
        except ValueError:
            wanted = "integers" if self.kind is int else "numbers"
            self.fail(f"{value!r}; {wanted} with commas between them are wanted, such as {self.name}", param, ctx)


class NumbersOrAuto(_ParamType):
    """Integers with commas between them, or the word "auto"."""

    name = "auto|n[,n...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of integers, or "auto"."""
        return value if value == "auto" else Numbers(int, "auto, 256 or 64,256,256").convert(value, param, ctx)


class AxisOrNone(_ParamType):
    """An axis, or the word "none"."""

    name = "axis"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """An int or "none"."""
        try:
            return value if value == "none" else int(value)
        except ValueError:
            self.fail(f"{value!r}; an axis such as 0 or -1, or none, is wanted", param, ctx)


class NumberOr(_ParamType):
    """A number, or one of some words in its place; "auto", which is always one of them, becomes None."""

    def __init__(self, kind: type[int] | type[float], *words: str, minimum: float | None = None) -> None:
        self.kind, self.words, self.minimum = kind, ("auto", *words), minimum
        self.name = "|".join(("N" if kind is int else "F", *self.words))

    def get_metavar(self, *_: Any, **__: Any) -> str:
        """As the help shows it: words stay in lower case."""
        return self.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number, a word, or None."""
        if value in self.words:
            return None if value == "auto" else value
        try:
            number = self.kind(value)
        except ValueError:
            number = None
        if number is None or (self.minimum is not None and not number >= self.minimum):
            least = "" if self.minimum is None else f" of at least {self.minimum:g}"
            wanted = "an integer" if self.kind is int else "a number"
            self.fail(f"{value!r}; {wanted}{least} is wanted, or {' or '.join(self.words)}", param, ctx)
        return number


UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


class Size(_ParamType):
    """A number of bytes with a unit: ``4GiB``, ``800M``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number of bytes."""
        text = str(value).strip().lower().removesuffix("b").removesuffix("i")
        unit = text[-1:] if text[-1:] in UNITS else ""
        try:
            return float(text.removesuffix(unit)) * UNITS[unit]
        except ValueError:
            self.fail(f"{value!r}; a number of bytes is wanted, such as 4GiB or 800M", param, ctx)


class Bounds(_ParamType):
    """``LOW,HIGH``, of which either may be left out."""

    name = "low,high"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of two numbers or Nones."""
        if isinstance(value, tuple):
            return value
        try:
            low, high = (None if part.strip() in ("", "none") else float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r}; two numbers are wanted, such as 0,255, or one and a comma: 0,", param, ctx)
        return low, high
