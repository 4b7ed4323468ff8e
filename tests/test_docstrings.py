"""Every public name says what it takes, gives and raises, in numpydoc's sections and without a complaint from it."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import sigdeconv
import sigdeconv.transposed

# Where public names live. A module lists them in `__all__`, or else by having defined them without an underscore.
PLAIN = (
    "sigdeconv",
    "sigdeconv.denoisers",
    "sigdeconv.io",
    "sigdeconv.metrics",
    "sigdeconv.psf",
    "sigdeconv.simulate",
    "sigdeconv.transposed",
    "sigdeconv.transposed.bicubic",
    "sigdeconv.transposed.checkerboard",
)
LEARNED = (
    "sigdeconv.transposed.degradations",
    "sigdeconv.transposed.initialisation",
    "sigdeconv.transposed.layers",
    "sigdeconv.transposed.models",
    "sigdeconv.transposed.training",
    "sigdeconv.transposed.weights",
)

# Checks of numpydoc that are not made; all the others are.
LEFT_OUT = {
    "SA01": "a neighbour is named in the sentence that says why to go there, not in a list of its own",
    "ES01": "the model and its faults stand under Notes; where the first line says all, nothing follows it",
    "EX01": "networks, results and plans are shown where they are used",
}

# Functions, and classes that are no named tuples, without a Raises section.
RAISES_NOTHING = {
    "ChunksEndedError": "it is raised itself",
    "ChunksFailedError": "it is raised itself",
    "Iteration": "a callback is handed one",
    "Picture": "`read` makes it",
    "centred": "arithmetic on what a layer has checked",
    "charbonnier": "torch says whether the shapes fit",
    "default_axes": "any number of axes has names",
    "learning_rate": "a plan is checked when it is made",
    "packaged": "takes nothing",
    "parameters_count": "any network has a number of them",
    "resize_matrix": "arithmetic on what `imresize` has checked",
}

# Modules whose functions are methods that others have published, and which of the functions are none.
METHODS = (
    "sigdeconv",
    "sigdeconv.denoisers",
    "sigdeconv.psf",
    "sigdeconv.transposed.checkerboard",
    "sigdeconv.transposed.initialisation",
)
NOBODYS = {
    "centred": "a subtraction",
    "gaussian": "a formula that everybody knows",
    "inverse_filter": "a division",
    "measure": "this library's own",
    "normalize": "a division",
    "psf_to_otf": "a definition",
    "sinc_": "this library's own window, measured",
    "with_equal_sums": "this library's own",
}


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Functions and classes of a module, and the methods and properties that code of this package gives these."""
    ours = [name for name, x in vars(module).items() if getattr(x, "__module__", "") == module.__name__]
    names = getattr(module, "__all__", None) or [name for name in ours if not name.startswith("_")]
    for name in sorted(set(names) & set(dir(module))):  # where torch is absent, dir() leaves out what needs it
        found = getattr(module, name)
        if inspect.isclass(found):
            yield name, found
            yield from ((f"{name}.{member}", getattr(found, member)) for member in _members(found))
        elif inspect.isroutine(found):
            yield name, found


def _members(cls: type) -> Iterator[str]:
    """Methods and properties; neither the fields of a named tuple nor what another package has written."""
    for name in dir(cls):
        value = inspect.getattr_static(cls, name)
        method = isinstance(value, (property, classmethod, staticmethod)) or inspect.isfunction(value)
        owner = next(base for base in cls.__mro__ if name in vars(base))
        where = getattr(value, "__module__", None) or owner.__module__  # a property has no module of its own
        ours = owner.__module__.startswith("sigdeconv") and where.startswith("sigdeconv")
        if method and ours and (not name.startswith("_") or name == "__call__"):
            yield name


def complaints(path: str, found: Any, module: ModuleType) -> list[str]:
    """What numpydoc has against a docstring, but for the checks that are left out."""
    from numpydoc.validate import validate

    if isinstance(found, property) and not found.__doc__:
        owner, member = path.split(".")
        described = member in _attributes(getattr(module, owner))
        return [] if described else [f"{path}: no docstring, nor a place under Attributes of {owner}"]
    errors = validate(path, validator_cls=_validator(), obj=found)["errors"]
    lines = [f"{path}: {code} {text}" for code, text in errors if code not in LEFT_OUT]
    if inspect.isclass(found):
        half = [name for name, (kind, text) in _attributes(found).items() if not (kind and text)]
        lines += [f"{path}: attribute {name} without type or description" for name in half]
    return lines


@functools.cache
def _validator() -> Any:
    from numpydoc.docscrape import get_doc_object
    from numpydoc.validate import Validator

    class Public(Validator):
        """Numpydoc's checks of an object in hand; a class method is checked as a function, as numpydoc does not."""

        def __init__(self, obj_name: str, obj: Any) -> None:
            super().__init__(get_doc_object(obj, config={"show_class_members": False}))

        @property
        def is_function_or_method(self) -> bool:
            return inspect.isroutine(self.obj)

    return Public


def _attributes(cls: type) -> dict[str, tuple[str, list[str]]]:
    """Type and description of each entry in the Attributes section of a class."""
    from numpydoc.docscrape import ClassDoc

    entries = ClassDoc(cls, config={"show_class_members": False})["Attributes"]
    return {name: (entry.type, entry.desc) for entry in entries for name in entry.name.split(", ")}


def _module(name: str) -> ModuleType:
    if name in LEARNED:
        for needed in ("torch", "safetensors"):
            pytest.importorskip(needed, reason=f"{needed} is not installed: pip install sigdeconv[learned]")
    return importlib.import_module(name)


def test_every_public_module_is_walked_over() -> None:
    names = [f"{package.__name__}.{name}" for package in (sigdeconv, sigdeconv.transposed) for name in package.__all__]
    modules = {name for name in names if importlib.util.find_spec(name) is not None}
    assert modules <= {*PLAIN, *LEARNED}


@pytest.mark.parametrize("name", PLAIN + LEARNED)
def test_numpydoc_has_no_complaint(name: str) -> None:
    pytest.importorskip("numpydoc", reason="numpydoc is not installed: pip install sigdeconv[docs]")
    module = _module(name)
    found = [complaint for path, x in public(module) for complaint in complaints(path, x, module)]
    assert not found, "\n".join([name, *found])


@pytest.mark.parametrize("name", PLAIN + LEARNED)
def test_what_is_raised_is_said(name: str) -> None:
    called = {path: x for path, x in public(_module(name)) if "." not in path and not _is_named_tuple(x)}
    silent = {path for path, x in called.items() if not _has_section(x, "Raises")}
    assert silent == RAISES_NOTHING.keys() & called.keys()


@pytest.mark.parametrize("name", METHODS)
def test_methods_say_where_they_are_from(name: str) -> None:
    functions = {path: x for path, x in public(_module(name)) if "." not in path and inspect.isroutine(x)}
    silent = {path for path, x in functions.items() if not _has_section(x, "References")}
    assert silent == NOBODYS.keys() & functions.keys()


@pytest.mark.parametrize("name", PLAIN + LEARNED)
def test_no_heading_is_lost_in_a_line(name: str) -> None:
    """As happens when a paragraph is filled anew: "Notes ----- The model ..."."""
    lost = [path for path, x in public(_module(name)) if re.search(r"\w -{3,} \w", inspect.getdoc(x) or "")]
    assert not lost


def _is_named_tuple(x: Any) -> bool:
    return inspect.isclass(x) and issubclass(x, tuple)


def _has_section(x: Any, title: str) -> bool:
    return f"{title}\n{'-' * len(title)}\n" in (inspect.getdoc(x) or "")
