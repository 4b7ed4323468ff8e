"""The state of a training run on the disk: whole or not at all, and read without running any code from the file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..io import _whole as whole_file

FORMAT = "sigdeconv training 1"


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state under a temporary name, and rename it when all of it has reached the disk."""
    with whole_file(path) as file:
        torch.save({"format": FORMAT, **state}, file)


def read(path: Path, wanted: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The state in a file.

    Raises
    ------
    ValueError
        The file is damaged or foreign, or `wanted` (what the run is made of, if that matters) differs from what was
        saved with it.
    """
    remedy = f"move {path.name} away to start anew"
    with path.open("rb") as file:  # a file that may not be read is not damaged
        try:
            with zipfile.ZipFile(file) as archive:  # torch itself does not look at the checksums
                if bad := archive.testzip():
                    raise ValueError(f"{bad} does not give its checksum")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
        except MemoryError:
            raise
        except Exception as error:  # decoders raise anything at all on damaged files
            reason = " ".join(str(error).split())[:80] or type(error).__name__
            raise ValueError(f"{path} is no whole checkpoint: {reason}; {remedy}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{path} is no checkpoint of this kind ({FORMAT}); {remedy}")
    if wanted is None:
        return state
    saved = state["wanted"]
    differing = [key for key in {**saved, **wanted} if saved.get(key) != wanted.get(key)]
    if differing:
        told = ", ".join(f"{key} {saved.get(key)!r}, now {wanted.get(key)!r}" for key in differing)
        raise ValueError(f"{path} belongs to another run: {told}; pass the same, or another folder")
    return state


def generators(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of torch's own random numbers, which dropout takes."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_generators(states: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Take up random numbers where they were; a run that has changed devices goes on with the seed of the new one."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


def write_log(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the log anew, so that it ends where the checkpoint does."""
    with whole_file(path) as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows).encode())


def append_log(path: Path, row: Mapping[str, Any]) -> None:
    """One more line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
