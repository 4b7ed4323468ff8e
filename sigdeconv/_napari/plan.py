"""What the widget has settled: the work to do, and the record of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .. import __version__
from .layers import Scene, Spacing
from .methods import Method
from .sources import Prepared, Source, prepared
from .work import Task


class Plan(NamedTuple):
    """An image, its voxel size in micrometre, and where the PSF comes from."""

    scene: Scene
    spacing: Spacing | None
    source: Callable[[], Source] | None
    resampled: bool
    share: float

    def psf(self) -> Prepared:
        """The PSF as it will be used."""
        assert self.source is not None
        return prepared(self.source(), self.spacing, resampled=self.resampled, share=self.share)

    def work(self, method: Method, values: Mapping[str, Any], task: Task) -> tuple[Any, Prepared | None]:
        """The result of a method, and the PSF if it needs one."""
        axis = self.scene.channel_axis
        if not method.needs_psf:
            return method.function(self.scene.data(), **values, callback=task.watch_tiles, channel_axis=axis), None
        psf = self.psf()
        restored = method.function(self.scene.data(), psf.psf, **values, callback=task.watch, channel_axis=axis)
        return restored, psf

    def record(self, method: Method, values: Mapping[str, Any], psf: Prepared | None, task: Task) -> dict[str, Any]:
        """What a reader of the result must know to make it again: the metadata of its layer."""
        layer = self.scene.layer
        about: dict[str, Any] = {"version": __version__, "image": layer.name, "method": method.name}
        if psf is not None:
            about |= {"psf": psf.told, "psf_shape": psf.psf.shape, "psf_notes": [*psf.notes, *psf.warnings]}
        about["parameters"] = {name: getattr(value, "__name__", value) for name, value in values.items()}
        about |= {"from_the_data": task.found(), "steps": task.index, "seconds": task.seconds}
        return {**layer.metadata, "sigdeconv": about | {"stopped_by_hand": task.stopped}}
