"""Between layers of napari and arrays of the library: axes, voxel sizes, and a result that lies where its image lay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]
Spacing = tuple[float, ...]  # micrometres along z, y and x, as far as there are such axes

USUAL = ("x", "yx", "zyx", "tzyx", "tczyx")  # axes of a layer that does not say
WORDS = {"time": "t", "channel": "c", "channels": "c", "depth": "z"}
MICROMETRE = "micrometer"


class Scene(NamedTuple):
    """How the library is given a layer.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    order : tuple of int
        Axes of its data in the order channels, batch, z, y, x.
    channel_axis : int or None
        0 if there are channels.
    frame : tuple of int
        Shape along z, y and x, as far as there are such axes.
    """

    layer: Any
    order: tuple[int, ...]
    channel_axis: int | None
    frame: tuple[int, ...]

    def data(self) -> Samples:
        """The samples in that order; a lazy array is computed here."""
        return samples_of(self.layer).transpose(self.order)


def axes_of(layer: Any) -> str:
    """A letter an axis: z, y, x, t (time), c (channels) or any other; without the colours of an RGB layer."""
    labels = [str(label).lower() for label in getattr(layer, "axis_labels", ())]
    letters = [WORDS.get(label, label) for label in labels]
    if (
        letters
        and all(len(letter) == 1 and letter.isalpha() for letter in letters)
        and len(set(letters)) == len(labels)
    ):
        return "".join(letters)
    return USUAL[layer.ndim - 1] if layer.ndim <= len(USUAL) else "q" * (layer.ndim - 3) + "zyx"


def samples_of(layer: Any) -> Samples:
    """The array of a layer, of a pyramid the finest; without the opacity of an RGBA image."""
    data = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    return data[..., :3] if getattr(layer, "rgb", False) else data


def scene_of(layer: Any, axes: str) -> Scene:
    """How the axes of a layer are to be arranged."""
    axes = axes.strip().lower()
    if len(axes) != layer.ndim or not axes.isalpha():
        raise ValueError(
            f"axes are {axes!r} but {layer.name} has {layer.ndim}; type a letter for each, such as {axes_of(layer)}"
        )
    twice = sorted({letter for letter in "zyxc" if axes.count(letter) > 1})
    if twice:
        raise ValueError(f"axes are {axes!r}, where {twice[0]} stands twice; use q for an axis without a name")
    if layer.rgb:
        axes = axes.replace("c", "q") + "c"
    frame = sorted((i for i, letter in enumerate(axes) if letter in "zyx"), key=lambda i: "zyx".index(axes[i]))
    if not frame:
        raise ValueError(f"axes are {axes!r}, of which none is blurred; name those z, y or x")
    channels = [i for i, letter in enumerate(axes) if letter == "c"]
    batch = [i for i in range(len(axes)) if i not in frame and i not in channels]
    order = (*channels, *batch, *frame)
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    return Scene(layer, order, 0 if channels else None, tuple(shape[axis] for axis in frame))


def spacing_of(layer: Any, axes: str) -> Spacing | None:
    """Voxel sizes in micrometre along z, y and x, or None if the layer does not know.

    A scale without a unit is taken for micrometres, as readers give it; if it is 1 throughout, nobody has set it.
    """
    units = getattr(layer, "units", None) or (None,) * layer.ndim
    sizes, stated = {}, False
    for letter, scale, unit in zip(axes, layer.scale, units, strict=False):
        if letter not in "zyx":
            continue
        factor = _micrometres(unit)
        stated = stated or factor is not None
        sizes[letter] = float(scale) * (1.0 if factor is None else factor)
    if not stated and all(size == 1 for size in sizes.values()):
        return None
    return tuple(abs(sizes[letter]) for letter in "zyx" if letter in sizes)


def _micrometres(unit: Any) -> float | None:
    """Of a unit of length; None for pixels and what is no length."""
    if unit is None or not unit.is_compatible_with(MICROMETRE):
        return None
    return float((1.0 * unit).to(MICROMETRE).magnitude)


def like(scene: Scene, result: Samples, name: str, metadata: Mapping[str, Any]) -> tuple[Samples, dict[str, Any]]:
    """A result, and the state of its layer: place, colours and contrast of the one that it was made of."""
    layer = scene.layer
    back = np.transpose(result, np.argsort(scene.order))
    if layer.rgb:
        back = _shown(back, np.asarray(layer.data[0] if layer.multiscale else layer.data))
    state = dict(layer.as_layer_data_tuple()[1])
    state.pop("locked_data_level", None)  # of a pyramid
    state |= {"name": name, "metadata": dict(metadata), "multiscale": False, "visible": True}
    return back, state


def _shown(colours: Samples, original: Samples) -> Samples:
    """Colours in the dtype of the original, since napari has no contrast limits for them; with its opacity."""
    if original.dtype.kind in "ui":
        limits = np.iinfo(original.dtype)
        colours = np.clip(np.rint(colours), limits.min, limits.max)
    colours = colours.astype(original.dtype)
    return np.concatenate([colours, original[..., 3:]], axis=-1)
