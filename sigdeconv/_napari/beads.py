"""The widget that measures a PSF from an image of beads."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import __version__
from .forms import Form, LayerList, column, note, row, scrolled
from .layers import Scene, Spacing, axes_of, scene_of, spacing_of
from .parameters import parameters
from .work import REFUSALS, Task, start

RING = 0.4  # of the PSF's side: the circle around a bead


def measure_psf(napari_viewer: Any = None) -> Any:
    """The widget, for a viewer; by default for the one in front."""
    import napari

    return scrolled(BeadPanel(napari.current_viewer() if napari_viewer is None else napari_viewer))


class BeadPanel:
    """The widgets, and what they do."""

    def __init__(self, viewer: Any) -> None:
        from magicgui.widgets import PushButton

        from ..psf import from_beads

        self.viewer = viewer
        self.task: Task | None = None
        self.stack = LayerList(viewer, lambda layer: "bead" in layer.name.lower())
        self.form = Form(parameters(from_beads))
        self.run = PushButton(text="Measure")
        self.status = note()
        stack = row("image of beads", self.stack.widget, "In 2-D or 3-D, not saturated.")
        self.widget: Any = column(stack, self.form.widget, self.run, self.status)
        self.widget.margins = (6, 6, 6, 6)
        self.run.changed.connect(lambda _: self._guarded())

    def _guarded(self) -> None:
        from napari.utils.notifications import show_error

        if self.task is not None:  # one thing at a time
            return
        try:
            self._run()
        except REFUSALS as error:
            show_error(" ".join(str(error).split()))

    def _run(self) -> None:
        from ..psf import from_beads

        layer = self.stack.value
        if layer is None:
            raise ValueError("there is no image of beads; open one, or take File > Open Sample > Deconvolution")
        if layer.rgb:
            raise ValueError(f"{layer.name} has colours; split them into layers, and measure each")
        values = self.form.values()
        axes = axes_of(layer)
        scene, spacing = scene_of(layer, axes), spacing_of(layer, axes)
        told = ""

        def done(found: Any) -> None:
            nonlocal told
            told = self._add(scene, spacing, found, values)

        def said(text: str) -> None:
            self.run.enabled = not text
            self.status.value = text or told
            self.task = self.task if text else None

        self.task = Task()
        start(self.task, lambda: from_beads(scene.data(), **values), title="PSF from beads", done=done, said=said)

    def _add(self, scene: Scene, spacing: Spacing | None, found: Any, values: dict[str, Any]) -> str:
        """The PSF and the beads as layers; gives a line on them."""
        from ..psf import fwhm

        layer, back = scene.layer, np.argsort(scene.order)
        widths = fwhm(found.psf, 1.0 if spacing is None else spacing)
        about = {"version": __version__, "image": layer.name, "parameters": values, "num_used": found.num_used}
        about |= {"fwhm": widths, "rejected": dict(found.rejected)}
        place = {name: getattr(layer, name) for name in ("scale", "units", "axis_labels") if hasattr(layer, name)}
        self.viewer.add_image(
            np.transpose(found.psf, back),
            name=f"PSF · {layer.name}",
            colormap="magma",
            metadata={"sigdeconv": about},
            **place,
        )
        self.viewer.add_points(
            found.positions[:, back],
            name=f"{layer.name} · beads used",
            translate=layer.translate,
            size=RING * max(found.psf.shape),
            face_color="transparent",
            border_color="yellow",
            **place,
        )
        unit = "pixels" if spacing is None else "µm"
        not_used = "; ".join(f"{reason}: {count}" for reason, count in found.rejected.items())
        return (
            f"{found.num_used} beads used" + (f", not used: {not_used}. " if not_used else ". ")
        ) + f"Full width at half maximum {' × '.join(f'{width:.3g}' for width in widths)} {unit}."
