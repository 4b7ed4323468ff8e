"""The widget: an image, a PSF from somewhere, a method, and a button."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .forms import Form, LayerList, column, note, row, scrolled
from .layers import Scene, Spacing, axes_of, like, scene_of, spacing_of
from .methods import FORMULAS, methods
from .parameters import numbers, total_of
from .plan import Plan
from .sources import Prepared, Source, from_file, from_formula, from_layer
from .work import REFUSALS, Task, start

LAYER, FILE, FORMULA = "a layer", "a file", "a formula"
LARGEST = 1e6  # µm
AXES = "A letter an axis: z, y, x; c for channels; t, or any other, for images that are restored one by one."
VOXELS = "Along z, y and x, with commas between; from the layer's scale. A formula of the optics needs it."
SHARE = "Below 1, such as 0.999: crop the PSF to the box with that. A wide PSF costs time and memory."
FILES = "*.tif *.tiff *.npy *.fits *.fit *.fts *.png"


def deconvolve(napari_viewer: Any = None) -> Any:
    """The widget, for a viewer; by default for the one in front."""
    import napari

    return scrolled(Panel(napari.current_viewer() if napari_viewer is None else napari_viewer))


class Panel:
    """The widgets, and what they do."""

    def __init__(self, viewer: Any) -> None:
        from magicgui.widgets import CheckBox, ComboBox, FileEdit, LineEdit, PushButton

        self.viewer = viewer
        self.methods = {method.title: method for method in methods()}
        self.formulas = {formula.title: formula for formula in FORMULAS}
        self.forms: dict[str, Form] = {}
        self.task: Task | None = None

        self.image = LayerList(viewer, lambda layer: "psf" not in layer.name.lower())
        self.axes, self.voxels = LineEdit(), LineEdit()
        self.source = ComboBox(choices=[LAYER, FILE, FORMULA], value=LAYER)
        self.psf_layer = LayerList(viewer, lambda layer: "psf" in layer.name.lower())
        self.psf_file = FileEdit(filter=FILES, value="")
        self.formula, self.formula_form = ComboBox(choices=list(self.formulas)), column()
        self.resample = CheckBox(text="to the image's voxels", value=True)
        self.share = LineEdit(value="1")
        self.show = PushButton(text="Show PSF", tooltip="The PSF as it will be used, as a layer.")
        self.method, self.method_form = ComboBox(choices=list(self.methods)), column()
        self.summary, self.status = note(), note()
        self.run = PushButton(text="Deconvolve")
        self.stop = PushButton(text="Stop here", tooltip="End after this step, and keep what there is.")
        self.cancel = PushButton(text="Cancel", tooltip="End after this step, and keep nothing.")

        resample = row("resample", self.resample, "Where both voxel sizes are known and differ.")
        self.psf_rows = {
            LAYER: (row("PSF", self.psf_layer.widget, "Its origin is the middle sample of each axis."), resample),
            FILE: (row("PSF", self.psf_file, "TIFF, NumPy, FITS or PNG."), resample),
            FORMULA: (row("formula", self.formula, "See the reference of sigdeconv.psf."), self.formula_form),
        }
        psf_rows = dict.fromkeys(widget for rows in self.psf_rows.values() for widget in rows)
        self.widget: Any = column(
            row("image", self.image.widget, "The layer to restore."),
            row("axes", self.axes, AXES),
            row("voxel size (µm)", self.voxels, VOXELS),
            row("PSF from", self.source, "Where the point spread function comes from."),
            *psf_rows,
            row("share of PSF's light", self.share, SHARE),
            self.show,
            row("method", self.method, "What is assumed of the scene and the noise."),
            self.summary,
            self.method_form,
            column(self.run, self.stop, self.cancel, layout="horizontal"),
            self.status,
        )
        self.widget.margins = (6, 6, 6, 6)

        self.image.widget.changed.connect(lambda _: self._image_changed())
        self.axes.changed.connect(lambda _: self._axes_changed())
        self.source.changed.connect(lambda _: self._source_changed())
        self.formula.changed.connect(lambda _: self._formula_changed())
        self.method.changed.connect(lambda _: self._method_changed())
        self.show.changed.connect(lambda _: self._guarded(self._show_psf))
        self.run.changed.connect(lambda _: self._guarded(self._run))
        self.stop.changed.connect(lambda _: self._end(stopped=True))
        self.cancel.changed.connect(lambda _: self._end(cancelled=True))
        self._image_changed()
        self._source_changed()
        self._formula_changed()
        self._method_changed()
        self._running(False)

    # What the widgets show.

    def _image_changed(self) -> None:
        layer = self.image.value
        self.axes.value = "" if layer is None else axes_of(layer)
        self._axes_changed()

    def _axes_changed(self) -> None:
        layer, axes = self.image.value, self.axes.value.strip().lower()
        if layer is None or len(axes) == layer.ndim:  # else someone is typing
            spacing = None if layer is None else spacing_of(layer, axes)
            self.voxels.value = "" if spacing is None else ", ".join(f"{size:.6g}" for size in spacing)

    def _source_changed(self) -> None:
        shown = self.psf_rows[self.source.value]
        for rows in self.psf_rows.values():
            for widget in rows:
                widget.visible = widget in shown

    def _formula_changed(self) -> None:
        formula = self.formulas[self.formula.value]
        self._put(self.formula_form, formula.title, lambda: Form(formula.parameters(), formula.start))

    def _method_changed(self) -> None:
        method = self.methods[self.method.value]
        self.summary.value = method.summary()
        self._put(self.method_form, method.title, lambda: Form(method.parameters()))

    def _put(self, place: Any, title: str, make: Callable[[], Form]) -> None:
        """Show a form, which is made once and then keeps what was typed."""
        if title not in self.forms:
            self.forms[title] = make()
            place.append(self.forms[title].widget)
        for widget in place:
            widget.visible = widget is self.forms[title].widget

    def _running(self, yes: bool) -> None:
        self.run.enabled = self.show.enabled = not yes
        self.stop.enabled = self.cancel.enabled = yes

    def _end(self, *, stopped: bool = False, cancelled: bool = False) -> None:
        if self.task is not None:
            self.task.stopped, self.task.cancelled = stopped, cancelled

    def _guarded(self, action: Callable[[], None]) -> None:
        """What the library refuses is said in a line."""
        from napari.utils.notifications import show_error

        if self.task is not None:  # one thing at a time
            return
        try:
            action()
        except REFUSALS as error:
            show_error(" ".join(str(error).split()))

    # What the buttons do.

    def _plan(self, needs_psf: bool) -> Plan:
        """All that was chosen, so that the work does not depend on what is chosen next."""
        layer = self.image.value
        if layer is None:
            raise ValueError("there is no image; open one, or take File > Open Sample > Deconvolution")
        scene = scene_of(layer, self.axes.value)
        (share,) = numbers(self.share.value, "share of PSF's light")
        spacing = self._spacing(scene)
        source = self._psf_source(scene, spacing) if needs_psf else None
        return Plan(scene, spacing, source, bool(self.resample.value), share)

    def _spacing(self, scene: Scene) -> Spacing | None:
        if not self.voxels.value.strip():
            return None
        ndim = len(scene.frame)
        sizes = numbers(self.voxels.value, "voxel size", several=True)
        sizes = sizes * ndim if len(sizes) == 1 else sizes
        if len(sizes) != ndim or not all(0 < size < LARGEST for size in sizes):
            raise ValueError(
                f"voxel size is {self.voxels.value} µm; {ndim} sizes above 0 are wanted, one for each axis of the "
                f"image along {', '.join('zyx'[3 - ndim :])}"
            )
        return sizes

    def _psf_source(self, scene: Scene, spacing: Spacing | None) -> Callable[[], Source]:
        """What finds the PSF; it may take long, and is called by the worker."""
        if self.source.value == LAYER:
            layer = self.psf_layer.value
            if layer is None:
                raise ValueError("there is no layer for the PSF; open one, or take a file or a formula")
            if layer is scene.layer:
                raise ValueError(f"{layer.name} is the image and the PSF; choose another layer for one of them")
            return partial(from_layer, layer)
        if self.source.value == FILE:
            path = self.psf_file.value
            if path is None or not path.is_file():
                raise ValueError(f"the PSF's file is {path}, which is no file; choose one")
            return partial(from_file, path)
        formula = self.formulas[self.formula.value]
        return partial(from_formula, formula, self.forms[formula.title].values(), scene.frame, spacing)

    def _start(self, task: Task, call: Callable[[], Any], title: str, done: Callable[[Any], None]) -> None:
        def said(text: str) -> None:
            self.status.value = text
            if not text:
                self.task = None
                self._running(False)

        self.task = task
        self._running(True)
        start(task, call, title=title, done=done, said=said)

    def _show_psf(self) -> None:
        plan = self._plan(needs_psf=True)

        def done(psf: Prepared) -> None:
            tell(psf)
            place = {} if psf.spacing is None else {"scale": psf.spacing, "units": ("um",) * psf.psf.ndim}
            about = {"sigdeconv": {"psf": psf.told, "psf_notes": [*psf.notes, *psf.warnings]}}
            self.viewer.add_image(psf.psf, name=f"PSF · {psf.name}", colormap="magma", metadata=about, **place)

        self._start(Task(), plan.psf, "PSF", done)

    def _run(self) -> None:
        from napari.layers import Layer

        method = self.methods[self.method.value]
        plan = self._plan(method.needs_psf)
        values = self.forms[method.title].values()
        task = Task(total_of(values))

        def done(result: tuple[Any, Prepared | None]) -> None:
            restored, psf = result
            tell(psf, task)
            about = plan.record(method, values, psf, task)
            data, state = like(plan.scene, restored, f"{plan.scene.layer.name} · {method.title}", about)
            self.viewer.add_layer(Layer.create(data, state, "image"))

        self._start(task, lambda: plan.work(method, values, task), method.title, done)


def tell(psf: Prepared | None, task: Task | None = None) -> None:
    """What was done to the PSF, and what was chosen from the data."""
    from napari.utils.notifications import show_info, show_warning

    for text in () if psf is None else psf.warnings:
        show_warning(text)
    for text in () if psf is None else psf.notes:
        show_info(text)
    found = {} if task is None else task.found()
    words = [f"{name} {value:.4g}" for name, value in found.items() if not isinstance(value, tuple)]
    if words:
        show_info("from the data: " + ", ".join(words))
