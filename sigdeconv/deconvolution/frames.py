"""Several frames of one scene: classical super-resolution from shifts of parts of a pixel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .._array import (
    Array,
    channels_to_batch,
    choice,
    floating,
    namespace,
    number,
    per_axis,
    to_numpy,
)
from .._iterate import Callback, iterate
from ..convolution import BOUNDARIES, psf_for
from ._counts import checked_counts, require_light
from ._frames import Frames
from ._likelihood import PoissonLikelihood, conjugate
from ._registration import positions
from .stopping import MOST, Stopping, Watch, checked_stopping

PIXELS = ("area", "points")


class SuperResolved(NamedTuple):
    """A scene restored from several frames.

    Parameters
    ----------
    image : array, shape (..., *(factor * shape))
        The scene on the finer grid, under the first frame.
    shifts : ndarray, shape (frames, ndim)
        Position of each frame relative to the first, in pixels, as given or as estimated.
    """

    image: Array
    shifts: np.ndarray[Any, Any]


def super_resolve(
    frames: Array,
    psf: Array,
    *,
    shifts: Array | None = None,
    factor: int | tuple[int, ...] = 2,
    pixels: str = "area",
    num_iter: int | None = 10,
    stopping: str | Stopping | None = None,
    boundary: str = "free",
    background: float | Array = 0.0,
    weights: Array | None = None,
    tv_weight: float = 0.0,
    damping: float = 0.0,
    readout_noise: float | Array = 0.0,
    tol: float = 0.0,
    callback: Callback | None = None,
    channel_axis: int | None = None,
) -> SuperResolved:
    """Restore one scene on a finer grid from several frames of it that are shifted by parts of a pixel.

    Parameters
    ----------
    frames : array, shape (..., num_frames, *shape)
        Photon counts, not negative. Leading axes are a batch of scenes with the same shifts.
    psf : array
        Point spread function, sampled on the fine grid: `factor` samples a pixel; origin at sample ``n // 2``.
    shifts : array, shape (num_frames, ndim), optional
        Position of each frame in the scene, in pixels: pixel ``p`` of frame ``i`` shows what lies at ``p + shifts[i]``.
        It is the shift that registers the frame with the first, as `skimage.registration.phase_cross_correlation`
        gives it. Only differences count. None: estimated from the frames.
    factor : int or tuple of int
        Fine samples a pixel, one for all axes or one an axis.
    pixels : {"area", "points"}
        "area": `psf` is the optics' alone, and a pixel gathers the light of its whole area, which is put on top of it
        here. "points": `psf` has that in it already, as one measured from many shifted stars or beads.
    num_iter : int, optional
        Iterations of conjugate Richardson-Lucy; the more, the sharper and the noisier. None: chosen from the data.
    stopping : {"risk", "splitting", "consensus", "discrepancy"} or Stopping, optional
        How they are chosen (see `Stopping`), as in `richardson_lucy`; "splitting" halves the photons of each frame.
    boundary : {"free", "periodic", "zero", "reflect"}
        What the scene does past all that any frame sees.
    background : float or array
        Counts that do not come through the blur, in the units of `frames`, against which it broadcasts.
    weights : array, optional
        Trust in each pixel, broadcast against `frames`: 0 for bad ones, 1 for good ones.
    tv_weight : float
        Weight of the total variation of the scene against the log-likelihood, as in `richardson_lucy`.
    damping : float
        Standard deviations of the noise within which a pixel is not fitted further, as in `richardson_lucy`.
    readout_noise : float or array
        Standard deviation of the Gaussian noise of the readout, in counts, for all pixels or each.
    tol : float
        Stop when an iteration changes the estimate by less than this, relative to its norm.
    callback : callable, optional
        Called with an `Iteration` after each, whose `chosen` holds what was chosen from the data (``num_iter`` and
        ``gain``); return True to stop.
    channel_axis : int, optional
        Axis of colours, which are restored one by one with the same shifts.

    Returns
    -------
    SuperResolved
        ``(image, shifts)``; `image` has the kind and floating dtype of `frames`.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Notes
    -----
    The scene that makes all frames together most likely, ``frames[i] ~ Poisson(A_i x + background)``, is looked for.
    Intensity is kept, not the sum: a flat scene of 100 counts a pixel gives a flat result of 100, so the light of a
    star is the sum of the result over it divided by ``factor ** ndim``. The grid is laid by area: the fine samples
    ``f p ... f p + f - 1`` lie under pixel ``p`` of the first frame, and the result has its field of view.

    A shift by a part of a fine sample shifts the PSF as the band-limited function through its samples (what rings
    below zero is cut), so the PSF must be well sampled on the fine grid. Frames with the same such part share their
    transforms: four half-pixel shifts cost as much as one frame on the fine grid.

    What limits it: a pixel of full area passes little near one cycle a pixel and nothing there, so a `factor` above 2
    or 3 mostly interpolates; detail beyond the optics' cutoff does not come back; whole-pixel shifts bring light but no
    detail; shifts wrong by a tenth of a pixel and more blur. Frames that turn or deform are not modelled.

    Ten iterations are too many for faint frames: on a photograph in one to six frames they lost 4 to 16 dB to the best
    iteration at 30 and 300 photons a pixel; "risk" lost 0.1 dB there (1.0 at most) and 0.2 (0.6) at 30000. Frames so
    undersampled that single pixels differ like noise are taken for noisier than they are, which costs up to 0.4 dB: of
    true counts say so, ``stopping=Stopping(gain=1.0)``.

    References
    ----------
    S. C. Park, M. K. Park and M. G. Kang, IEEE Signal Process. Mag. 20 (3), 21 (2003), doi:10.1109/MSP.2003.1203207.
    A. S. Fruchter and R. N. Hook, Publ. Astron. Soc. Pac. 114, 144 (2002), doi:10.1086/338393 (dithered frames).
    M. Irani and S. Peleg, CVGIP: Graph. Models Image Process. 53, 231 (1991), doi:10.1016/1049-9652(91)90045-L
    (estimated shifts).

    Examples
    --------
    Two stars three quarters of a pixel apart, seen through four frames:

    >>> import numpy as np
    >>> import sigdeconv
    >>> scene = np.full(64, 1.0)
    >>> scene[[30, 33]] += 3000.0
    >>> psf = sigdeconv.psf.gaussian(15, sigma=1.5)             # four samples a pixel
    >>> seen = np.convolve(np.convolve(scene, psf, "same"), np.ones(4) / 4)[3:]   # pixels that begin at each sample
    >>> frames = np.stack([seen[i::4][:15] for i in range(4)])
    >>> restored = super_resolve(frames, psf, shifts=np.arange(4)[:, None] / 4, factor=4, num_iter=200)
    >>> restored.image.shape, sorted(int(i) for i in np.argsort(restored.image)[-2:])
    ((60,), [30, 33])
    """
    wanted = checked_stopping(stopping, num_iter)
    frames, _ = channels_to_batch(floating(frames, "frames", finite=False), channel_axis)
    psf = psf_for(psf, frames)
    ndim = psf.ndim
    if frames.ndim < ndim + 1:
        raise ValueError(
            f"frames has {frames.ndim} dimensions but psf {ndim}; pass (num_frames, *shape), for one frame frames[None]"
        )
    require_light(psf)
    scale = per_axis(factor, ndim, "factor", minimum=1)
    area = choice(pixels, PIXELS, "pixels") == "area"
    boundary = choice(boundary, BOUNDARIES, "boundary")
    counts = checked_counts(
        frames,
        name="frames",
        background=background,
        weights=weights,
        readout_noise=readout_noise,
        channel_axis=channel_axis,
    )
    shape = tuple(int(n) for n in counts.d.shape[-ndim:])
    number_of_frames = int(counts.d.shape[-ndim - 1])
    at = _estimated(counts.d, ndim) if shifts is None else _checked(shifts, number_of_frames, shape)
    blur = Frames(psf, shape, at, scale, boundary=boundary, area=area)
    tv_weight = number(tv_weight, "tv_weight", minimum=0.0, maximum=1e6)
    damping = number(damping, "damping", minimum=0.0, maximum=1e6)
    readout = not (isinstance(readout_noise, (int, float)) and readout_noise == 0)
    watch = None if wanted is None else Watch(wanted, blur, counts, readout=readout)
    problem = PoissonLikelihood.of(blur, *(counts if watch is None else watch.counts), tv_weight, damping)
    steps = conjugate(problem, problem.flat())
    window = (..., 0, *blur.window)
    back = _back(channel_axis, frames.ndim, ndim)
    image = iterate(
        steps if watch is None else watch.steps(steps),
        num_iter=MOST if num_iter is None else num_iter,
        tol=tol,
        callback=callback,
        ndim=ndim,
        view=lambda x: x[window],
        back=back,
        chosen=None if watch is None else watch.chosen,
    )
    if watch is not None:
        image = back(watch.best[window])
    return SuperResolved(namespace(frames).asarray(image, copy=True), at - at[0])


def _back(channel_axis: int | None, ndim: int, frame_ndim: int) -> Callable[[Array], Array]:
    """Colours go back to where they were among the axes, of which the one of the frames is gone."""
    if channel_axis is None:
        return lambda image: image
    axis = channel_axis % ndim
    frames_axis = ndim - frame_ndim - 2  # among the axes other than the colours'
    return lambda image: namespace(image).moveaxis(image, 0, axis - 1 if axis > frames_axis else axis)


def _checked(shifts: Array, num_frames: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The shifts as an array, refused where a frame would share nothing with the first."""
    at = floating(shifts, "shifts")
    at = np.asarray(to_numpy(at), np.float64)
    if at.shape != (num_frames, len(shape)):
        raise ValueError(f"shifts has shape {at.shape}; {(num_frames, len(shape))} is wanted: a row a frame, in pixels")
    if np.any(np.abs(at - at[0]) >= np.array(shape)):
        raise ValueError(
            f"shifts reach {np.abs(at - at[0]).max():g} pixels from the first frame, which is of shape "
            f"{shape}; every frame must overlap with it: pass shifts in pixels, and the frame in the middle first"
        )
    return at


def _estimated(frames: Array, ndim: int) -> np.ndarray[Any, Any]:
    data = np.asarray(to_numpy(frames), np.float64)
    return positions(data.reshape(-1, *data.shape[-ndim - 1 :]).sum(axis=0))  # a batch moves together
