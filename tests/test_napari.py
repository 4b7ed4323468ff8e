"""The napari plugin: forms and PSFs, which need no napari; and the widgets, offscreen, where the extra is installed."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import sigdeconv
from sigdeconv import psf
from sigdeconv._napari import layers, methods, parameters, samples, sources
from sigdeconv._napari.plan import Plan
from sigdeconv._napari.work import CancelledError, Task

MANIFEST = Path(sigdeconv.__file__).parent / "_napari" / "napari.yaml"
EXTRA = "the plugin's widgets need napari: pip install 'sigdeconv[napari]'"
LONG = 60.0  # seconds, on a busy machine


# Forms, from signatures and docstrings.


@pytest.mark.parametrize("thing", [*methods.METHODS, *methods.FORMULAS], ids=lambda thing: thing.name)
def test_every_parameter_of_a_form_has_a_field_a_text_and_its_default(thing):
    signature = inspect.signature(thing.function).parameters
    asked = thing.parameters()
    assert {p.name for p in asked} == set(signature) - parameters.NO_FIELD
    for p in asked:
        assert p.text.endswith(".")
        assert p.choices or p.number or isinstance(p.default, str), f"{p.name} has nothing to choose or type"
        default = signature[p.name].default
        if default is inspect.Parameter.empty:
            assert p.default is None or p.name in thing.start, f"the form of {thing.name} starts without {p.name}"
        else:
            assert p.default == default
            assert p.number or not p.choices or any(value == default for _, value in p.choices)


def test_what_the_docstrings_say_of_parameters():
    def of(function: Callable[..., Any]) -> dict[str, parameters.Parameter]:
        return {p.name: p for p in parameters.parameters(function, like=psf.gibson_lanni)}

    tv, rl, lens = of(sigdeconv.total_variation), of(sigdeconv.richardson_lucy), of(psf.confocal)
    assert [label for label, _ in tv["weight"].choices] == ["automatic", "gcv", "sure", "discrepancy", "l-curve"]
    assert tv["weight"].number is float
    assert tv["bounds"].choices == (("none", None), ("not negative", (0.0, None)))
    assert (rl["num_iter"].choices, rl["num_iter"].number, rl["num_iter"].default) == ((("automatic", None),), int, 10)
    assert dict(rl["accelerate"].choices)["no"] is False
    assert lens["depth"].text.startswith("Distance of the particle")  # which confocal leaves to gibson_lanni
    assert [lens[name].label for name in ("wavelength", "na", "depth")] == ["wavelength (µm)", "NA", "depth (µm)"]


def test_what_is_typed():
    number = parameters.Parameter("sigma", "", (), float, True, None)
    assert number.parse(" 3 ") == 3.0
    assert number.parse("3, 1.5,1e0") == (3.0, 1.5, 1.0)
    for text in ("", "three", "1,,2"):
        with pytest.raises(ValueError, match=r"sigma is .*; a number, or several"):
            number.parse(text)
    with pytest.raises(ValueError, match=r"num iter is '2.5'; an integer is wanted"):
        parameters.Parameter("num_iter", "", (), int, False, 10).parse("2.5")


# PSFs.


def formula(name: str) -> methods.Formula:
    return next(f for f in methods.FORMULAS if f.name == name)


@pytest.mark.parametrize("name", [f.name for f in methods.FORMULAS])
@pytest.mark.parametrize("frame", [(20, 21), (10, 20, 21)])
def test_a_formula_as_the_form_starts_fits_the_image(name, frame):
    form = formula(name)
    values = {p.name: p.parse(form.start[p.name]) if p.name in form.start else p.default for p in form.parameters()}
    made = form.made(values, frame, (0.3, 0.1, 0.1)[-len(frame) :])
    assert made.ndim == (form.ndim if 0 < form.ndim < 3 else len(frame))
    assert made.sum() == pytest.approx(1)
    assert made[tuple(n // 2 for n in made.shape)] == pytest.approx(made.max())


def test_a_formula_is_the_function_of_the_library():
    lens = {"wavelength": 0.5, "na": 1.1, "immersion_index": 1.33, "defocus": "exact"}
    made = formula("born_wolf").made({"shape": (7, 9, 11), **lens}, (16, 32, 32), (0.3, 0.1, 0.2))
    np.testing.assert_array_equal(made, psf.born_wolf((7, 9, 11), pixel_size=(0.3, 0.1, 0.2), **lens))
    flat = formula("born_wolf").made({"shape": 9, **lens}, (32, 32), (0.1, 0.2))
    np.testing.assert_array_equal(flat, psf.born_wolf((1, 9, 9), pixel_size=(0.1, 0.1, 0.2), **lens)[0])
    broad = formula("gaussian").made({"shape": None, "sigma": (2.0, 1.0)}, (64, 64), None)
    np.testing.assert_array_equal(broad, psf.gaussian((17, 9), (2.0, 1.0)))
    with pytest.raises(ValueError, match="voxel size is not known"):
        formula("airy").made({"shape": 9, "wavelength": 0.5, "na": 1.1}, (32, 32), None)


def test_a_psf_is_brought_to_the_voxels_of_the_image_and_the_user_is_told():
    fine = psf.gaussian((21, 21), 3.0)
    source = sources.Source(5 * fine, (0.1, 0.1), "beads", "layer beads")
    fitted = sources.prepared(source, (0.3, 0.2, 0.2), resampled=True, share=1.0)
    np.testing.assert_allclose(fitted.psf, psf.resample(fine, (0.1, 0.1), (0.2, 0.2)), atol=1e-12)
    assert fitted.spacing == (0.2, 0.2)
    assert "0.1 × 0.1 µm, those of the image 0.2 × 0.2 µm" in fitted.notes[0]
    assert "from sum 5 to 1" in fitted.notes[1]
    left = sources.prepared(source, (0.3, 0.2, 0.2), resampled=False, share=1.0)
    np.testing.assert_allclose(left.psf, fine)
    assert "tick resample" in left.warnings[0]
    for spacing in (None, (0.1, 0.1001)):  # not known; the same but for rounding
        same = sources.prepared(source, spacing, resampled=True, share=0.9)
        assert same.psf.shape == psf.crop(fine, 0.9).psf.shape < fine.shape
        assert "cropped" in same.notes[0]
        assert not same.warnings


def test_a_psf_from_a_file_knows_its_voxels(tmp_path):
    from sigdeconv import io

    like = io.Picture(np.ones((3, 5, 5)), "ZYX", {"Z": 0.2, "Y": 0.1, "X": 0.1})
    io.write(tmp_path / "psf.tif", like.data, like=like)
    source = sources.from_file(tmp_path / "psf.tif")
    assert (source.psf.shape, source.spacing, source.name) == ((3, 5, 5), (0.2, 0.1, 0.1), "psf.tif")


# Layers. A stand-in has what a layer of napari has, as far as it is asked.


def layer(data: Any, **more: Any) -> Any:
    multiscale = isinstance(data, list)
    ndim = (data[0] if multiscale else data).ndim - more.get("rgb", False)
    state = {"scale": (1.0,) * ndim, "contrast_limits": (0, 9), "multiscale": multiscale}
    plain = {"name": "cells", "rgb": False, "multiscale": multiscale, "ndim": ndim, "scale": state["scale"]}
    return SimpleNamespace(data=data, metadata={}, as_layer_data_tuple=lambda: (data, state, "image"), **plain | more)


def test_axes_of_layers():
    assert [layers.axes_of(layer(np.zeros((2,) * n))) for n in (2, 3, 4, 5)] == ["yx", "zyx", "tzyx", "tczyx"]
    volume = np.zeros((2, 3, 4, 5))
    assert layers.axes_of(layer(volume, axis_labels=("Time", "channel", "Y", "x"))) == "tcyx"
    assert layers.axes_of(layer(volume, axis_labels=("-4", "-3", "-2", "-1"))) == "tzyx"
    assert layers.axes_of(layer(volume, axis_labels=("z", "z", "y", "x"))) == "tzyx"


def test_a_layer_is_arranged_and_its_result_lies_as_it_lay():
    data = np.arange(2 * 3 * 4 * 5.0).reshape(4, 3, 2, 5)  # z, c, t, x
    image = layer(data)
    scene = layers.scene_of(image, "zctx")
    assert (scene.channel_axis, scene.frame, scene.data().shape) == (0, (4, 5), (3, 2, 4, 5))
    back, state = layers.like(scene, 2 * scene.data(), "twice", {"a": 1})
    np.testing.assert_array_equal(back, 2 * data)
    assert (state["name"], state["metadata"], state["contrast_limits"]) == ("twice", {"a": 1}, (0, 9))
    for axes, message in (("zyx", "a letter for each"), ("zzyx", "z stands twice"), ("tcqa", "none is blurred")):
        with pytest.raises(ValueError, match=message):
            layers.scene_of(image, axes)


def test_colours_are_channels_and_come_back_as_they_can_be_shown():
    data = np.full((6, 7, 4), 250, np.uint8)
    image = layer(data, rgb=True)
    scene = layers.scene_of(image, "yx")
    assert (scene.channel_axis, scene.frame, scene.data().shape) == (0, (6, 7), (3, 6, 7))
    back, _ = layers.like(scene, scene.data() + np.array([-300.4, 3.4, 9.0])[:, None, None], "result", {})
    assert back.dtype == np.uint8
    assert back[0, 0].tolist() == [0, 253, 255, 250]


def test_of_a_pyramid_the_finest_level_is_taken():
    image = layer([np.ones((8, 8)), np.ones((4, 4))])
    scene = layers.scene_of(image, "yx")
    assert scene.frame == scene.data().shape == (8, 8)
    assert layers.like(scene, scene.data(), "result", {})[1]["multiscale"] is False


def test_voxel_sizes_of_layers():
    volume = np.zeros((2, 3, 4))
    assert layers.spacing_of(layer(volume), "zyx") is None  # nobody has set it
    assert layers.spacing_of(layer(volume, scale=(0.3, 0.1, 0.2)), "zyx") == (0.3, 0.1, 0.2)
    assert layers.spacing_of(layer(volume, scale=(5.0, 0.1, 0.2)), "txy") == (0.2, 0.1)  # in the order z, y, x
    pint = pytest.importorskip("pint", reason=EXTRA)
    units = (pint.UnitRegistry().nanometer,) * 3
    assert layers.spacing_of(layer(volume, scale=(200, 1, 1), units=units), "zyx") == pytest.approx((0.2, 1e-3, 1e-3))


# Work.


def test_a_callback_stops_or_cancels():
    image, kernel = np.random.default_rng(0).uniform(1, 9, (16, 16)), psf.gaussian((5, 5), 1.0)
    kinds = {"kept": "stopped", "lost": "cancelled"}
    for kind in kinds:
        task = Task(9)

        def watch(iteration: Any, task: Task = task, kind: str = kind) -> bool:
            setattr(task, kinds[kind], iteration.index == 2)
            return task.watch(iteration)

        if kind == "kept":
            sigdeconv.richardson_lucy(image, kernel, num_iter=9, callback=watch)
        else:
            with pytest.raises(CancelledError):
                sigdeconv.richardson_lucy(image, kernel, num_iter=9, callback=watch)
        assert task.index == 2
        assert task.told().startswith("step 2 of at most 9, last change")


def test_the_record_tells_how_to_make_the_result_again():
    rng = np.random.default_rng(0)
    kernel = psf.gaussian((5, 5), 1.0)
    image = layer(sigdeconv.simulate.blur(rng.random((24, 24)), kernel) + 0.05 * rng.standard_normal((24, 24)))
    plan = Plan(layers.scene_of(image, "yx"), None, lambda: sources.Source(kernel, None, "k", "layer k"), True, 1.0)
    wiener = next(m for m in methods.METHODS if m.name == "wiener")
    values = {p.name: p.default for p in wiener.parameters()}
    task = Task()
    restored, used = plan.work(wiener, values, task)
    np.testing.assert_array_equal(restored, sigdeconv.wiener(image.data, kernel))
    about = plan.record(wiener, values, used, task)["sigdeconv"]
    again = getattr(sigdeconv, about["method"])(
        image.data, used.psf, **about["parameters"] | {"balance": about["from_the_data"]["balance"]}
    )
    np.testing.assert_allclose(again, restored, atol=0.01)  # the fill past the frame starts elsewhere
    assert (about["psf"], about["image"]) == ("layer k", "cells")


# Manifest and samples.


def test_every_command_of_the_manifest_is_there():
    named = re.findall(r"python_name: (\S+):(\S+)", MANIFEST.read_text(encoding="utf-8"))
    assert len(named) == 4
    for module, name in named:
        assert callable(getattr(importlib.import_module(module), name))


def test_the_entry_point_leads_to_the_manifest():
    project = Path(sigdeconv.__file__).parent.parent / "pyproject.toml"
    if not project.is_file():
        pytest.skip("installed without its project file")
    entry = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["entry-points"]["napari.manifest"]
    point = EntryPoint("sigdeconv", entry["sigdeconv"], "napari.manifest")
    spec = find_spec(point.module)  # as npe2 looks for it
    assert spec is not None
    assert [Path(folder) / point.attr for folder in spec.submodule_search_locations] == [MANIFEST]


def test_samples_are_what_they_say():
    image, kernel, truth = samples.bars()
    assert all(kind == "image" for *_, kind in samples.bars())
    restored = sigdeconv.richardson_lucy(image[0], kernel[0], background=samples.BACKGROUND, num_iter=10)
    before, after = (np.square(x - truth[0]).mean() for x in (image[0] - samples.BACKGROUND, restored))
    assert after < 0.7 * before
    assert psf.from_beads(samples.beads()[0][0]).num_used >= 4


# Widgets.


@pytest.fixture(scope="session")
def qt() -> Any:
    """A Qt application without a screen, or a skipped test."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    pytest.importorskip("qtpy", reason=EXTRA)
    pytest.importorskip("magicgui", reason=EXTRA)
    pytest.importorskip("napari", reason=EXTRA)
    from qtpy.QtWidgets import QApplication

    return QApplication.instance() or QApplication([])


class Desk:
    """A viewer's layers, a widget for them, and what is said to the user."""

    def __init__(self, qt: Any, model: Any, said: list[str]) -> None:
        self.qt, self.viewer, self.said = qt, model, said

    def wait(self, over: Callable[[], bool]) -> None:
        end = time.monotonic() + LONG
        while not over():
            assert time.monotonic() < end, "nothing happened"
            self.qt.processEvents()
            time.sleep(0.01)

    def deconvolve(self) -> Any:
        from sigdeconv._napari.deconvolve import deconvolve

        self.area = deconvolve(self.viewer)
        return self.area.panel

    def press(self, panel: Any, button: Any) -> None:
        button.native.click()
        self.wait(lambda: panel.task is None)


@pytest.fixture
def desk(qt: Any) -> Iterator[Desk]:
    from napari.components import ViewerModel
    from napari.utils.notifications import notification_manager

    said: list[str] = []

    def hear(notification: Any) -> None:
        said.append(f"{notification.severity.name} {notification.message}")

    notification_manager.notification_ready.connect(hear)
    yield Desk(qt, ViewerModel(), said)
    notification_manager.notification_ready.disconnect(hear)


def blurred(shape: tuple[int, ...] = (24, 25)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    kernel = psf.gaussian((5,) * len(shape), 1.0)
    image = rng.poisson(sigdeconv.simulate.blur(rng.uniform(10, 99, shape), kernel)).astype(np.float32)
    return image, kernel


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # napari's own


def test_a_form_that_is_left_alone_calls_the_method_with_its_defaults(qt):
    from sigdeconv._napari.forms import Form

    for method in methods.methods():
        signature = inspect.signature(method.function).parameters
        values = Form(method.parameters()).values()
        assert values == {name: signature[name].default for name in values}, method.name
        assert set(values) == set(signature) - parameters.NO_FIELD
    for form in methods.FORMULAS:
        Form(form.parameters(), form.start).values()


def test_a_number_takes_the_place_of_automatic(qt):
    from sigdeconv._napari.forms import NUMBER, Form

    form = Form(parameters.parameters(sigdeconv.total_variation))
    weight = form.fields["weight"]
    assert form.values()["weight"] is None
    assert not weight.line.enabled
    weight.list.value = "gcv"
    assert form.values()["weight"] == "gcv"
    weight.list.value, weight.line.value = NUMBER, "2e-3"
    assert form.values()["weight"] == 0.002
    assert all("Stein" in widget.tooltip for widget in weight.row)


def test_a_layer_is_restored_beside_its_image(desk):
    image, kernel = blurred((8, 24, 25))
    place = {"scale": (0.4, 0.2, 0.2), "translate": (1, 2, 3), "colormap": "green", "contrast_limits": (3, 77)}
    cells = desk.viewer.add_image(image, name="cells", metadata={"kept": 1}, **place)
    desk.viewer.add_image(kernel, name="psf")
    panel = desk.deconvolve()
    assert (panel.image.value, panel.psf_layer.value) == (cells, desk.viewer.layers["psf"])
    assert (panel.axes.value, panel.voxels.value) == ("zyx", "0.4, 0.2, 0.2")
    panel.method.value = "Richardson-Lucy"
    panel.forms["Richardson-Lucy"].fields["num_iter"].line.value = "3"
    desk.press(panel, panel.run)
    result = desk.viewer.layers["cells · Richardson-Lucy"]
    wanted = sigdeconv.richardson_lucy(image, kernel, num_iter=3)
    np.testing.assert_allclose(result.data, wanted, rtol=1e-5)
    assert (*result.scale, *result.translate) == (0.4, 0.2, 0.2, 1, 2, 3)
    assert (result.colormap.name, result.contrast_limits) == ("green", [3, 77])
    assert result.metadata["kept"] == 1
    assert result.metadata["sigdeconv"]["parameters"]["num_iter"] == 3
    assert result.metadata["sigdeconv"]["steps"] == 3
    assert desk.said == []


def test_a_film_is_restored_frame_by_frame(desk):
    image, kernel = blurred()
    film = np.stack([image, image[::-1]])
    desk.viewer.add_image(film, name="film", scale=(5, 0.2, 0.2))
    desk.viewer.add_image(kernel, name="psf")
    panel = desk.deconvolve()
    panel.axes.value = "tyx"
    assert panel.voxels.value == "0.2, 0.2"  # not the seconds between frames
    desk.press(panel, panel.run)
    result = desk.viewer.layers["film · Richardson-Lucy"]
    np.testing.assert_allclose(result.data[0], sigdeconv.richardson_lucy(image, kernel), rtol=1e-4)
    assert tuple(result.scale) == (5, 0.2, 0.2)


def test_what_the_library_refuses_is_one_line_and_nothing_hangs(desk):
    image, kernel = blurred()
    panel = desk.deconvolve()
    desk.press(panel, panel.run)
    assert "ERROR there is no image" in desk.said.pop()
    desk.viewer.add_image(image, name="cells")
    desk.viewer.add_image(np.stack([kernel] * 3), name="psf")
    panel.image.value = desk.viewer.layers["cells"]
    panel.psf_layer.value = desk.viewer.layers["cells"]
    desk.press(panel, panel.run)
    assert "is the image and the PSF" in desk.said.pop()
    panel.psf_layer.value = desk.viewer.layers["psf"]
    desk.press(panel, panel.run)
    assert desk.said[-1].startswith("ERROR psf has 3 dimensions but image has 2")
    panel.forms["Richardson-Lucy"].fields["damping"].line.value = "much"
    desk.press(panel, panel.run)
    assert desk.said[-1] == "ERROR damping is 'much'; a number is wanted"
    assert len(desk.viewer.layers) == 2
    assert panel.run.enabled
    assert not panel.cancel.enabled


@pytest.mark.parametrize("button", ["stop", "cancel"])
def test_stop_keeps_and_cancel_discards(desk, button):
    image, kernel = blurred((64, 64))
    desk.viewer.add_image(image, name="cells")
    desk.viewer.add_image(kernel, name="psf")
    panel = desk.deconvolve()
    panel.image.value, panel.psf_layer.value = desk.viewer.layers["cells"], desk.viewer.layers["psf"]
    panel.forms["Richardson-Lucy"].fields["num_iter"].line.value = "1000000"
    panel.run.native.click()
    task = panel.task
    desk.wait(lambda: task.index > 2 and panel.status.value.startswith("step"))
    assert not panel.run.enabled
    getattr(panel, button).native.click()
    desk.wait(lambda: panel.task is None)
    assert task.index < 1000000
    assert panel.run.enabled
    if button == "stop":
        about = desk.viewer.layers["cells · Richardson-Lucy"].metadata["sigdeconv"]
        assert about["stopped_by_hand"]
        assert about["steps"] == task.index
    else:
        assert len(desk.viewer.layers) == 2
        assert desk.said[-1] == "INFO Richardson-Lucy was cancelled"


def test_work_ends_when_the_widget_is_closed(desk):
    from qtpy.QtCore import QEvent

    image, kernel = blurred((64, 64))
    desk.viewer.add_image(image, name="cells")
    desk.viewer.add_image(kernel, name="psf")
    panel = desk.deconvolve()
    panel.forms["Richardson-Lucy"].fields["num_iter"].line.value = "1000000"
    panel.run.native.click()
    task = panel.task
    desk.wait(lambda: task.index > 2)
    desk.area.deleteLater()
    desk.qt.sendPostedEvents(desk.area, QEvent.Type.DeferredDelete.value)
    desk.wait(lambda: task.worker is None)
    assert task.cancelled
    assert task.index < 1000000
    assert len(desk.viewer.layers) == 2


def test_a_psf_by_formula_is_shown_and_used(desk, tmp_path):
    image, kernel = blurred()
    desk.viewer.add_image(image, name="cells", scale=(0.1, 0.1))
    panel = desk.deconvolve()
    panel.image.value = desk.viewer.layers["cells"]
    panel.source.value, panel.formula.value = "a formula", "widefield, with depth (Gibson-Lanni)"
    panel.forms[panel.formula.value].fields["shape"].list.value = "number:"
    panel.forms[panel.formula.value].fields["shape"].line.value = "9"
    desk.press(panel, panel.show)
    shown = desk.viewer.layers[-1]
    lens = psf.gibson_lanni((1, 9, 9), wavelength=0.52, na=1.4, pixel_size=0.1)[0]
    np.testing.assert_allclose(shown.data, lens / lens.sum())
    assert tuple(shown.scale) == (0.1, 0.1)
    np.save(tmp_path / "psf.npy", kernel)
    panel.source.value, panel.psf_file.value = "a file", tmp_path / "psf.npy"
    panel.method.value = "Wiener"
    desk.press(panel, panel.run)
    result = desk.viewer.layers["cells · Wiener"]
    np.testing.assert_allclose(result.data, sigdeconv.wiener(image, kernel), rtol=1e-4, atol=1e-3)
    assert desk.said[-1].startswith("INFO from the data: balance")
    assert result.metadata["sigdeconv"]["psf"] == "file psf.npy"


def test_beads_become_a_psf(desk):
    from sigdeconv._napari.beads import measure_psf

    for data, state, _ in samples.beads():
        desk.viewer.add_image(data, **state)
    area = measure_psf(desk.viewer)
    panel = area.panel
    assert panel.stack.value is desk.viewer.layers["beads"]
    panel.run.native.click()
    desk.wait(lambda: len(desk.viewer.layers) == 3 and panel.run.enabled)
    found = psf.from_beads(desk.viewer.layers["beads"].data)
    np.testing.assert_array_equal(desk.viewer.layers["PSF · beads"].data, found.psf)
    np.testing.assert_array_equal(desk.viewer.layers["beads · beads used"].data, found.positions)
    assert tuple(desk.viewer.layers["PSF · beads"].scale) == samples.VOXELS
    assert f"{found.num_used} beads used" in panel.status.value
    assert "µm" in panel.status.value


def test_the_manifest_is_valid_and_napari_finds_all_of_it(qt):
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == "sigdeconv"
    assert [widget.display_name for widget in manifest.contributions.widgets] == [
        "Deconvolve",
        "Measure PSF from beads",
    ]


@pytest.mark.skipif(
    sys.platform == "linux" and not os.environ.get("DISPLAY"),
    reason="a whole viewer draws with OpenGL, which a Linux machine without a display lacks; run under xvfb-run",
)
def test_in_a_whole_viewer(qt, desk):
    """Opened from the menus, with sample data; the canvas is drawn."""
    import napari
    from npe2 import PluginManager, PluginManifest

    manager = PluginManager.instance()
    if "sigdeconv" not in manager._manifests:
        manager.register(PluginManifest.from_file(MANIFEST))
    viewer = napari.Viewer(show=False)
    try:
        viewer.open_sample("sigdeconv", "bars")
        assert [layer.name for layer in viewer.layers] == ["bars", "bars (PSF)", "bars (truth)"]
        _, widget = viewer.window.add_plugin_dock_widget("sigdeconv", "Deconvolve")
        panel = widget.panel
        assert panel.viewer.layers[0].name == "bars"
        assert (panel.image.value, panel.psf_layer.value) == (viewer.layers["bars"], viewer.layers["bars (PSF)"])
        desk.press(panel, panel.run)
        assert viewer.layers[-1].name == "bars · Richardson-Lucy"
        shot = viewer.screenshot(canvas_only=False, flash=False)
        assert shot[..., :3].std() > 10
    finally:
        viewer.close()
