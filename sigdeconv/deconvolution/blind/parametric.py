"""A blur with a formula and one or two unknown numbers: they are read off the image's spectrum, then it is undone.

Candidates of the PSF are compared by the likelihood of the power spectrum (`_spectrum`), first on a grid of parameters,
then along lines and by descent from the best points of the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..._array import Array, channels_to_batch, choice, floating, kind, like, number, shown, to_numpy
from ...convolution import BOUNDARIES
from ..fourier import wiener
from ._family import Form
from ._search import likeliest
from ._spectrum import SMALLEST, Numbers, PowerSpectrum


class ParametricBlur(NamedTuple):
    """What `blind_parametric` finds.

    Parameters
    ----------
    image : array
        The restored image.
    psf : array
        The PSF, of sum 1, of the kind and dtype of the image.
    parameters : dict of str to float
        Its parameters by name.
    noise : float
        Standard deviation of the noise, in the units of the image: as given, or as estimated along with the PSF.
    candidates : dict of str to ndarray
        The values that were tried of each parameter in the first search; those with equal bounds have one.
    scores : ndarray
        Minus the log-likelihood a frequency of each combination of candidates: one axis a parameter, the smaller the
        better. A valley with steep walls means that the image knows its blur.
    """

    image: Array
    psf: Array
    parameters: dict[str, float]
    noise: float
    candidates: dict[str, Numbers]
    scores: Numbers


def blind_parametric(
    image: Array,
    family: str | Callable[..., Array] = "gaussian",
    *,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    restore: Callable[[Array, Array], Array] | None = None,
    sigma: float | None = None,
    boundary: str = "free",
    ndim: int | None = None,
    channel_axis: int | None = None,
) -> ParametricBlur:
    """Restore an image whose blur has a known form but unknown size: out of focus, moved in a line, or Gaussian.

    Parameters
    ----------
    image : array, shape (..., *frame)
        Blurred image, at least 16 samples along each axis of the frame. Leading axes are a batch that shares one blur.
    family : {"gaussian", "disk", "motion", "airy"} or callable
        Form of the PSF, with its parameters in pixels: "gaussian" (``sigma``), "disk" (``radius``: defocus), "motion"
        (``length``, and ``angle`` in degrees counter-clockwise from the x axis), "airy" (``radius`` of the first dark
        ring). Or a function that takes one to three parameters by name and returns a PSF with its origin at sample
        ``n // 2``.
    bounds : mapping of str to (float, float), optional
        Smallest and largest value of each parameter by name; equal ones keep a parameter as it is. It must be complete
        for a callable, and replaces single defaults otherwise. By default the PSF is between a pixel and a quarter of
        the image, or 64 pixels.
    restore : callable, optional
        ``restore(image, psf) -> image``, any method that undoes a known blur; `wiener` by default.
    sigma : float, optional
        Standard deviation of the noise in the units of `image`; estimated along with the blur by default.
    boundary : {"free", "periodic", "zero", "reflect"}
        What the default `restore` takes the scene to do past the frame.
    ndim : int, optional
        Axes of the frame, the last ones of `image`. By default 2, and 1 if `image` has one axis.
    channel_axis : int, optional
        Axis of colours, which share the blur.

    Returns
    -------
    ParametricBlur
        ``(image, psf, parameters, noise, candidates, scores)``.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; the message names it and the remedy.

    Notes
    -----
    The power spectrum of the image is modelled as that of a scene, ``|L|^(-2 gamma)`` with the gradient's transfer
    function L and a factor for its direction, times ``|H|^2``, plus white noise. The likelihood (Whittle's) is
    maximised over gamma, the other properties of the scene and the noise for every PSF, and then over the PSF. The
    spectrum is that of tapered pieces of the image, so that the frame's edges leave no trace in it.

    Dark rings and stripes of the OTF identify disks and motions to about one or two per cent even in noise. A Gaussian
    has none: its width is told from the scene's power law only by the way the spectrum bends. That leaves about 6 % on
    photographs, and what blur the lens had before is part of the answer. Generalised cross-validation [3]_ in place of
    the likelihood left 8 to 14 %.

    It fails where the form is wrong (a shake is no line), where less than a pixel of blur is sought, on images that are
    periodic or saturated in large parts, and if noise hides the first dark ring. A parameter that comes out on its
    bound has not been found.

    References
    ----------
    .. [1] P. Whittle, J. R. Stat. Soc. B 15, 125 (1953), doi:10.1111/j.2517-6161.1953.tb00131.x.
    .. [2] R. L. Lagendijk, A. M. Tekalp and J. Biemond, Opt. Eng. 29, 422 (1990), doi:10.1117/12.55611.
    .. [3] S. J. Reeves and R. M. Mersereau, IEEE Trans. Image Process. 1, 301 (1992), doi:10.1109/83.148606.
    .. [4] D. J. Field, J. Opt. Soc. Am. A 4, 2379 (1987), doi:10.1364/JOSAA.4.002379 (spectra of natural scenes).

    Examples
    --------
    >>> import numpy as np
    >>> import sigdeconv
    >>> from sigdeconv.deconvolution.blind.parametric import blind_parametric
    >>> rng = np.random.default_rng(0)
    >>> fy, fx = np.fft.fftfreq(180)[:, None], np.fft.rfftfreq(180)
    >>> law = (fy**2 + fx**2 + 1e-5) ** -0.75                           # as in photographs
    >>> scene = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((180, 180))) * law)
    >>> image = sigdeconv.simulate.through_frame(scene, sigdeconv.psf.disk(5.3)).blurred
    >>> found = blind_parametric(image + 0.5 * rng.standard_normal(image.shape), "disk")
    >>> bool(abs(found.parameters["radius"] - 5.3) < 0.3), bool(abs(found.noise - 0.5) < 0.05)
    (True, True)
    """
    image = floating(image, "image", moderate=True)
    boundary = choice(boundary, BOUNDARIES, "boundary")
    if restore is not None and not callable(restore):
        raise TypeError(f"restore is {shown(restore)}; a function (image, psf) -> image is wanted")
    if sigma is not None:
        sigma = number(sigma, "sigma", minimum=0.0)
    flat, _ = channels_to_batch(image, channel_axis)
    axes = _frame_axes(flat, ndim, channel_axis, family)
    batch = np.asarray(to_numpy(flat), dtype=np.float64).reshape(-1, *flat.shape[flat.ndim - axes :])
    if min(batch.shape[1:]) < SMALLEST:
        raise ValueError(
            f"image has a frame of {batch.shape[1:]}; at least {SMALLEST} samples along each axis are wanted"
        )
    form = Form.of(family, bounds, batch.shape[1:])
    spectrum = PowerSpectrum.of(batch, form.reach())
    found = likeliest(spectrum, form, sigma)
    psf = like(form.psf(found.values), image, "psf")
    if restore is not None:
        restored = restore(image, psf)
    else:
        restored = wiener(image, psf, boundary=boundary, channel_axis=channel_axis)
    names = [p.name for p in form.parameters]
    return ParametricBlur(
        restored,
        psf,
        dict(zip(names, found.values, strict=True)),
        spectrum.noise(found.fit) if sigma is None else sigma,
        dict(zip(names, found.candidates, strict=True)),
        found.scores,
    )


def _frame_axes(image: Array, ndim: int | None, channel_axis: int | None, family: Any) -> int:
    """How many of the last axes are the frame."""
    if ndim is not None:
        if isinstance(ndim, bool) or not isinstance(ndim, (int, np.integer)) or not 1 <= ndim <= min(3, image.ndim):
            raise ValueError(f"ndim is {shown(ndim)}; an integer from 1 to {min(3, image.ndim)} is wanted")
        return int(ndim)
    if channel_axis is None and image.ndim == 3 and image.shape[-1] in (3, 4):
        raise ValueError(
            f"image has shape {tuple(image.shape)}, which looks like colours on the last axis; pass channel_axis=-1"
        )
    if image.ndim == 0:
        raise ValueError(f"image is a {kind(image)} of 0 dimensions; at least one axis is wanted")
    return min(image.ndim if channel_axis is None else image.ndim - 1, 2) or 1
