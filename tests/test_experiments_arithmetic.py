"""The experiment on arithmetic: its pictures show torch's numbers, its shapes are torch's, its sentences computed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the experiments draw with matplotlib: pip install sigdeconv[plots]")

from PIL import Image

from experiments import arithmetic, common
from experiments.arithmetic import operations, pictures
from experiments.arithmetic.operations import Settings
from sigdeconv import metrics

MANY = [
    Settings(3),
    Settings(3, 2, 1),
    Settings(5, 3, 2),
    Settings(3, 2, 1, 2),
    Settings(2, 3, 0, 1),
    Settings(4, 2, 3, 1),
    Settings(1, 2),
]


def numbers(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def by_torch(torch, name, x, kernel, settings, **more):
    both = (torch.as_tensor(np.ascontiguousarray(a))[None, None] for a in (x, kernel))
    options = {"stride": settings.stride, "padding": settings.padding, "dilation": settings.dilation}
    return getattr(torch.nn.functional, name)(*both, **options, **more)[0, 0].numpy()


@pytest.mark.parametrize("settings", MANY)
@pytest.mark.parametrize("n", [6, 7, 8, 9])
def test_the_moving_window_is_torchs_convolution(settings, n, torch, close):
    x, kernel = numbers((n, n)), numbers((settings.kernel,) * 2, 1)
    played = operations.convolution(x, kernel, settings)
    close(played.result, by_torch(torch, "conv2d", x, kernel, settings))
    assert len(played.steps) == played.result.size
    assert not np.isnan(played.steps[-1].output).any()
    assert np.isnan(played.steps[0].output).sum() == played.result.size - 1


@pytest.mark.parametrize("settings", MANY)
def test_painting_and_inserting_zeros_are_torchs_transposed_convolution(settings, torch, close):
    x, kernel = numbers((3, 3)), numbers((settings.kernel,) * 2, 1)
    for extra in range(max(settings.stride, settings.dilation)):
        wanted = by_torch(torch, "conv_transpose2d", x, kernel, settings, output_padding=extra)
        ours = settings._replace(output_padding=extra)
        close(operations.scatter(x, kernel, ours).result, wanted)
        close(operations.inserted(x, kernel, ours).result, wanted)
        assert ours.transposed(3) == len(wanted)


@pytest.mark.parametrize("name", arithmetic.SHOWN)
def test_what_is_shown_has_torchs_numbers(name, torch, close):
    one = arithmetic.played(name, np.random.default_rng(3))
    _, n, settings, _ = arithmetic.SHOWN[name]
    assert one.x.shape == (n, n)
    if one.kind == "convolution":
        wanted = by_torch(torch, "conv2d", one.x, arithmetic.KERNEL, settings)
    else:
        more = {"output_padding": settings.output_padding}
        wanted = by_torch(torch, "conv_transpose2d", one.x, arithmetic.KERNEL, settings, **more)
    close(one.result, wanted)
    title, _ = pictures.titles(one)
    assert title.startswith(("Convolution", "Transposed", "The same"))
    assert f": {n} × {n} → " in title
    assert f"→ {len(wanted)} × {len(wanted)}" in title


def test_the_window_lies_where_it_reads():
    one = arithmetic.played("convolution-dilated", np.random.default_rng(0))
    step = one.steps[4]
    window, kernel, output = pictures.grids(one, 4)
    assert window.marked[0] == (1, 1)
    assert window.marked[-1] == (5, 5)
    total = sum(window.values[at] * tap for at, tap in zip(window.marked, kernel.values.flat, strict=True))
    assert total == output.values[output.marked[0]] == one.result[1, 1]
    assert pictures.status(one, 4) == f"5 of 9: output (1, 1) = sum of 9 products = {total:g}"
    assert step.read == (1, 1)


def test_overlaps_and_what_is_cut_off_are_coloured():
    one = arithmetic.played("transposed", np.random.default_rng(0))
    _, _, whole = pictures.grids(one, 8)
    count = np.zeros((7, 7), int)
    for i, j in np.ndindex(3, 3):
        count[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += 1
    inner = [[whole.fills[i][j] for j in range(1, 6)] for i in range(1, 6)]
    assert inner == [[pictures.PAINTED[c] for c in line] for line in count[1:6, 1:6]]
    assert {whole.fills[0][j] for j in range(7)} == {pictures.CUT}
    assert whole.frame == (1, 5)
    one = arithmetic.played("inserted", np.random.default_rng(0))
    canvas = pictures.grids(one, 0)[0]
    kept = np.array(canvas.fills) == pictures.SAMPLE
    assert kept.sum() == 9
    np.testing.assert_array_equal(canvas.values[kept].reshape(3, 3), one.x)
    assert not canvas.values[~kept].any()


def test_the_same_settings_do_not_lead_back(torch):
    settings = Settings(5, 3, 2)
    assert operations.same_settings(17, settings) == (6, 16)
    down, up = (kind(1, 1, 5, stride=3, padding=2) for kind in (torch.nn.Conv2d, torch.nn.ConvTranspose2d))
    assert up(down(torch.zeros(1, 1, 17, 17))).shape[-1] == 16
    assert operations.origins(6, settings) == {16: 0, 17: 1, 18: 2}
    rows = arithmetic.trap(settings, range(13, 25))
    assert [row["n"] for row in rows if not row["marked"]] == [13, 16, 19, 22]


def test_the_remainders_that_are_lost():
    shares = operations.failing_share(range(1, 6), (1, 2, 3, 4), range(10, 70))
    for stride, share in shares.items():
        assert share == pytest.approx(1 - 1 / stride)


def test_two_layers_there_and_back(torch):
    trip = operations.round_trip(17, arithmetic.LAYERS)
    assert (trip.sizes, trip.plain, trip.resolved) == ((17, 6, 3), (3, 5, 13), (3, 6, 17))
    x = torch.zeros(1, 1, 17, 17)
    downs = [torch.nn.Conv2d(1, 1, s.kernel, stride=s.stride, padding=s.padding) for s in arithmetic.LAYERS]
    for extras, wanted in (((0, 0), 13), (trip.paddings, 17)):
        y = downs[1](downs[0](x))
        for s, extra in zip(reversed(arithmetic.LAYERS), extras, strict=True):
            up = torch.nn.ConvTranspose2d(1, 1, s.kernel, stride=s.stride, padding=s.padding, output_padding=extra)
            y = up(y)
        assert y.shape[-1] == wanted


def test_what_comes_back_is_the_transpose_and_the_pseudo_inverse_of_the_matrix(close):
    rng = np.random.default_rng(0)
    layers = (Settings(3, 2, 1), Settings(2, 2))
    kernels = [rng.standard_normal((3, 3)), rng.standard_normal((2, 2))]
    x = rng.standard_normal((7, 7))

    def forward(x):
        for kernel, layer in zip(kernels, layers, strict=True):
            x = operations.convolve(x, kernel, layer)
        return x

    A = np.stack([forward(unit.reshape(7, 7)).ravel() for unit in np.eye(49)], axis=1)
    found = operations.there_and_back(x, kernels, layers)
    close(found["back"].ravel(), A.T @ A @ x.ravel())
    close(found["least squares"].ravel(), np.linalg.pinv(A) @ A @ x.ravel(), slack=100)
    errors = {key: metrics.nrmse(x, found[key]) for key in ("back", "scaled", "least squares")}
    assert errors["least squares"] < errors["scaled"] < errors["back"]
    other = metrics.nrmse(x, 1.01 * found["scaled"])
    assert errors["scaled"] < min(other, metrics.nrmse(x, 0.99 * found["scaled"]))


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """The whole chapter with fewer animations, and where it was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arithmetic, "SHOWN", {key: arithmetic.SHOWN[key] for key in ("convolution", "inserted")})
        patch.setitem(common.STYLE, "savefig.dpi", 40)
        study = common.Study(tmp_path_factory.mktemp("results"), quiet=True)
        return arithmetic.run(study), study.out


def test_animations_move_and_are_small(chapter):
    found, out = chapter
    files = [part.file for part in found.parts if isinstance(part, common.Figure)]
    wanted = ["convolution.gif", "inserted.gif", "stills.png", "shapes.png", "back.png"]
    assert files == [f"arithmetic-{name}" for name in wanted]
    for name, frames in (("convolution", 9), ("inserted", 25)):
        with Image.open(out / f"arithmetic-{name}.gif") as film:
            assert film.n_frames == frames
            assert film.info["loop"] == 0
            pixels = []
            for index in (0, frames - 1):
                film.seek(index)
                pixels.append(np.asarray(film.convert("RGB")))
            assert (pixels[0] != pixels[1]).any()
            assert tuple(pixels[1][0, 0]) == (255, 255, 255)
        assert (out / f"arithmetic-{name}.gif").stat().st_size < 600_000
        with Image.open(out / f"arithmetic-{name}.png") as still:
            assert still.width > 900


def test_the_finding_is_computed(chapter):
    found, _ = chapter
    rows = next(p for p in found.parts if isinstance(p, common.Table) and p.name == "arithmetic-values").rows
    trip, shares = operations.round_trip(17, arithmetic.LAYERS), operations.failing_share(**arithmetic.TRIED)
    assert found.finding == arithmetic.finding(trip, rows, shares)
    assert "become 6 and then 16" in found.finding
    assert "the values do not" in found.finding
    perfect = [{**row, "error": 0.4} for row in rows]
    text = arithmetic.finding(trip, perfect, shares | {2: 0.25})
    assert "so do the values, nearly" in text
    assert "25 % of all sizes are missed at stride 2" in text
    assert any("For 17 or 18 samples" in part for part in found.parts if isinstance(part, str))
