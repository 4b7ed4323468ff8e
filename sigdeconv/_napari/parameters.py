"""The parameters of a public function, read from its signature and its docstring: what a form asks for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# What a form has no field for: arrays, functions, and what the panel itself knows.
NO_FIELD = {
    "image",
    "psf",
    "stack",
    "weights",
    "initial",
    "steps",
    "network",
    "callback",
    "channel_axis",
    "pixel_size",
    "normalize",
}
AUTOMATIC = "automatic"  # what None is called
UNITS = {
    "in micrometre": "µm",
    "in pixels": "pixels",
    "in samples": "pixels",
    "in degrees": "°",
    "in counts": "counts",
    "in units of `image`": "units of the image",
    "in units of the stack": "units of the image",
    "in Airy units": "Airy units",
}

_ENTRY = re.compile(r"^    (\w[\w, ]*) : (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Parameters
    ----------
    name : str
        As the function calls it.
    text : str
        What its docstring says.
    choices : tuple of (str, object)
        Labels and values to choose from; empty if there are none.
    number : type or None
        ``int`` or ``float``, if a number is taken.
    several : bool
        Whether one number an axis is taken as well.
    default : object
        As in the signature; None where it is "automatic", ``inspect.Parameter.empty`` where a value is required.
    """

    name: str
    text: str
    choices: tuple[tuple[str, Any], ...]
    number: type | None
    several: bool
    default: Any

    @property
    def unit(self) -> str:
        """Of the number, if the docstring names one."""
        return next((unit for words, unit in UNITS.items() if words in self.text), "")

    @property
    def label(self) -> str:
        """What stands before the field."""
        words = self.name.replace("_", " ")
        words = words.upper() if words == "na" else words
        return f"{words} ({self.unit})" if self.unit else words

    def parse(self, text: str) -> Any:
        """A number, or several, from what was typed."""
        found = numbers(text, self.label, self.number or float, several=self.several)
        return found if len(found) > 1 else found[0]


def numbers(text: str, label: str, kind: type = float, *, several: bool = False) -> tuple[Any, ...]:
    """One number that was typed, or several with commas between."""
    try:
        found = tuple(kind(part) for part in text.replace(";", ",").split(","))
    except ValueError:
        found = ()
    if not found or (len(found) > 1 and not several):
        wanted = "an integer" if kind is int else "a number"
        each = ", or several with commas between," if several else ""
        raise ValueError(f"{label} is {text!r}; {wanted}{each} is wanted")
    return found


def parameters(
    function: Callable[..., Any], *, like: Callable[..., Any] | None = None, without: Collection[str] = ()
) -> tuple[Parameter, ...]:
    """What a form asks for, in the order of the signature.

    `like` is a function whose docstring has the texts to which this one refers by "as in".
    """
    said = dict(_entries(function))
    if like is not None:
        fuller = dict(_entries(like))
        said |= {name: fuller[name] for name, (_, text) in said.items() if " as in `" in text and name in fuller}
    return tuple(
        _parameter(name, *said[name], default=given.default)
        for name, given in inspect.signature(function).parameters.items()
        if name not in NO_FIELD and name not in without
    )


def summary(function: Callable[..., Any]) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(function) or "").split("\n", 1)[0]


def _entries(function: Callable[..., Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Names, with types and texts, under "Parameters"."""
    doc = function.__doc__ or ""
    section = re.search(r"^    Parameters\n    -+\n(.*?)(?=^    \w+\n    -+$|\Z)", doc, re.DOTALL | re.MULTILINE)
    assert section is not None, function
    found = list(_ENTRY.finditer(section[1]))
    ends = [match.start() for match in found[1:]] + [len(section[1])]
    for match, end in zip(found, ends, strict=True):
        text = " ".join(section[1][match.end() : end].split())
        for name in match[1].split(","):
            yield name.strip(), (match[2], text)


def _parameter(name: str, kind: str, text: str, default: Any) -> Parameter:
    inside = re.search(r"\{(.*?)\}", kind)
    choices: list[tuple[str, Any]] = []
    if name == "bounds":
        choices += [("none", None), ("not negative", (0.0, None))]
    elif default is None or "optional" in kind:
        choices.append((AUTOMATIC, None))
    if re.search(r"\bbool\b", kind):
        choices += [("yes", True), ("no", False)]
    if inside:
        choices += [(word, word) for word in re.findall(r'"([^"]+)"', inside[1])]
    number = None
    if name != "bounds" and (word := re.search(r"\b(float|int)\b", kind)):
        number = int if word[1] == "int" else float
    several = number is not None and bool(re.search(r"sequence of|\((int|float),", kind))
    return Parameter(name, text, tuple(choices), number, several, default)


def total_of(values: Mapping[str, Any]) -> int:
    """How many iterations there will be; 0 where the data decide."""
    number = values.get("num_iter")
    return number if isinstance(number, int) else 0
