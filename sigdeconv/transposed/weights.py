"""Trained weights as files: safetensors, which hold numbers only, with a record of where the numbers come from.

The files of the package lie in its folder ``data``. A file says in its header what it was trained on and what it
reached, and carries a checksum, so that weights of another network, and damaged ones, are refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from .._array import choice, shown
from ..io import _whole as whole_file

__all__ = ["RECORDED", "load", "packaged", "record", "save"]

FOLDER = Path(__file__).parent / "data"
SUFFIX = ".safetensors"
FORMAT = "sigdeconv weights 1"
# What a record says: the function and arguments that trained, the seed, the pictures, how many numbers were learned,
# what was reached on which test, and (step, score) on the way.
RECORDED = ("recipe", "seed", "data", "parameters", "results", "learning_curve")
DTYPES = {"float32": torch.float32, "float16": torch.float16}


def save(
    path: str | os.PathLike[str],
    module: torch.nn.Module,
    record: Mapping[str, Any],
    *,
    dtype: str = "float32",
    overwrite: bool = False,
) -> Path:
    """Write the weights of a network with their record, whole or not at all.

    Parameters
    ----------
    path : path
        The file, ``*.safetensors``.
    module : torch.nn.Module
        Its parameters and buffers are written.
    record : mapping
        Numbers, words, lists and mappings of them under "recipe", "seed", "data", "results" and "learning_curve", and
        any others; "parameters" is counted.
    dtype : {"float32", "float16"}
        Of floating-point weights in the file. float16 halves it and changes a weight by up to 1/2048 of itself: then
        the results in the record should be those of the rounded weights.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ValueError
        The record lacks an entry or cannot be written as JSON, or a weight is not finite in that dtype.
    OSError
        The file exists, or cannot be written.

    Examples
    --------
    >>> import tempfile, pathlib, torch
    >>> story = {"recipe": "by hand", "seed": 0, "data": [], "results": {}, "learning_curve": []}
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = save(pathlib.Path(folder.name) / "line.safetensors", torch.nn.Linear(3, 1), story)
    >>> load(path, torch.nn.Linear(3, 1))["parameters"]
    4
    >>> load(path, torch.nn.Linear(2, 1))
    Traceback (most recent call last):
        ...
    ValueError: line.safetensors fits another network than Linear: weight has shape (1, 3) in the file, (1, 2) in it
    >>> folder.cleanup()
    """
    target = Path(path)
    kept = DTYPES[choice(dtype, tuple(DTYPES), "dtype")]
    if target.suffix != SUFFIX:
        raise ValueError(f"path is {target}; a name that ends in {SUFFIX} is wanted")
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists; pass another name, or overwrite")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target} lies in a folder that does not exist; make {target.parent} first")
    told = {**record, "parameters": sum(p.numel() for p in module.parameters())}
    missing = [key for key in RECORDED if key not in told]
    if missing:
        raise ValueError(f"record has no {', '.join(missing)}; it is to say {', '.join(RECORDED)}")
    tensors = {}
    for name, x in module.state_dict().items():
        y = x.detach().cpu()
        y = (y.to(kept) if y.is_floating_point() else y).clone(memory_format=torch.contiguous_format)
        if y.is_floating_point() and not bool(torch.isfinite(y).all()):
            raise ValueError(f"{name} has weights that are not finite in {dtype}; train again, or pass another dtype")
        tensors[name] = y
    try:
        text = json.dumps(told, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"record cannot be written as JSON: {error}; pass numbers, words, lists and mappings"
        ) from None
    header = {"format": FORMAT, "record": text, "checksum": _checksum(tensors, text)}
    with whole_file(target) as file:
        file.write(safetensors.torch.save(tensors, header))
    return target


def load(name_or_path: str | os.PathLike[str], module: torch.nn.Module) -> dict[str, Any]:
    """Fill a network with weights from a file.

    Parameters
    ----------
    name_or_path : str or path
        One of `packaged`, or a ``.safetensors`` file.
    module : torch.nn.Module
        Every parameter and buffer must be in the file under the same name and of the same shape, and nothing else;
        floating-point weights take the dtype and the device of the network. It stays as it was if anything is wrong.

    Returns
    -------
    dict
        The record.

    Raises
    ------
    OSError
        There is no such file.
    ValueError
        It is damaged, was not written by `save`, or holds the weights of another network.
    """
    path = _path(name_or_path)
    told, tensors = _read(path)
    ours = module.state_dict()
    fits = f"{path.name} fits another network than {type(module).__name__}"
    for name in {**ours, **tensors}:
        if name not in tensors or name not in ours:
            raise ValueError(f"{fits}: {name} is only in the {'network' if name in ours else 'file'}")
        new, old = tensors[name], ours[name]
        if new.shape != old.shape:
            raise ValueError(f"{fits}: {name} has shape {tuple(new.shape)} in the file, {tuple(old.shape)} in it")
        if new.is_floating_point() != old.is_floating_point():
            raise ValueError(f"{fits}: {name} is {new.dtype} in the file, {old.dtype} in it")
    with torch.no_grad():
        for name, old in ours.items():
            old.copy_(tensors[name])
    return told


def record(name_or_path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a file says of itself: how, on what and with what result it was trained.

    Parameters
    ----------
    name_or_path : str or path
        One of `packaged`, or a ``.safetensors`` file.

    Returns
    -------
    dict
        "recipe", "seed", "data", "parameters", "results", "learning_curve" and what else was put in by `save`.

    Raises
    ------
    OSError
        There is no such file.
    ValueError
        It is damaged, or was not written by `save`.
    """
    return _read(_path(name_or_path))[0]


def packaged() -> list[str]:
    """The names of the weights that come with the package.

    Returns
    -------
    list of str
        Each as `load` and `record` take it, sorted.
    """
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def _path(name_or_path: str | os.PathLike[str]) -> Path:
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise TypeError(f"name_or_path is {shown(name_or_path)}; a name or a path is wanted")
    path = Path(name_or_path)
    if path.suffix != SUFFIX:
        if path.name == str(path) and (FOLDER / f"{path.name}{SUFFIX}").is_file():
            return FOLDER / f"{path.name}{SUFFIX}"
        known = ", ".join(packaged()) or "none"
        raise FileNotFoundError(f"there are no weights {str(path)!r}; pass a {SUFFIX} file or a name of: {known}")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; check the name and the folder")
    return path


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except safetensors.SafetensorError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is no whole safetensors file: {reason}; fetch it again") from None
    if header.get("format") != FORMAT:
        raise ValueError(f"{path} was not written by sigdeconv.transposed.weights.save ({FORMAT}); pass one that was")
    text = header.get("record", "")
    if header.get("checksum") != _checksum(tensors, text):
        raise ValueError(f"{path} is damaged: what it holds does not give its checksum; fetch it again")
    told: dict[str, Any] = json.loads(text)
    return told, tensors


def _checksum(tensors: Mapping[str, torch.Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        x = tensors[name]
        digest.update(f"{name} {x.dtype} {tuple(x.shape)}\n".encode())
        digest.update(x.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
