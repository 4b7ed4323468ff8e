"""scikit-image's denoisers as functions ``(image, sigma) -> image``, on any scale of intensity.

Each parameter follows from the noise: what a function asks for beside it stands here as a multiple of `sigma`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._array import Array, choice, floating, is_numpy, kind, number, per_axis

Real = np.ndarray[Any, Any]

NON_LOCAL_H = 0.8  # of sigma: the decay of the weights, as scikit-image advises for its fast mode when sigma is told
TV_WEIGHT = 1.1  # of sigma: near the best for photographs over sigma = 5 ... 50 of 255
BILATERAL_COLOUR = 2.0  # of sigma: two noisy samples of one grey differ by 1.4 sigma


def non_local_means(image: Array, sigma: float, *, patch_size: int = 5, patch_distance: int = 9) -> Array:
    """Non-local means: every pixel becomes a mean of pixels whose surroundings look alike.

    Parameters
    ----------
    image : array, 2-D or 3-D
        NumPy array.
    sigma : float
        Standard deviation of the noise, in units of `image`.
    patch_size, patch_distance : int
        Pixels of a side of the surroundings that are compared, and how far away their like is looked for.

    Returns
    -------
    array
        Of the shape and floating dtype of `image`, in its units.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    References
    ----------
    A. Buades, B. Coll and J.-M. Morel, CVPR (2005), doi:10.1109/CVPR.2005.38; `skimage.restoration.denoise_nl_means`.
    """
    from skimage.restoration import denoise_nl_means

    (size,) = per_axis(patch_size, 1, "patch_size", minimum=1)
    (distance,) = per_axis(patch_distance, 1, "patch_distance", minimum=1)

    def denoise(x: Real, s: float) -> Real:
        # It pads by mirroring, which wants a frame at least as large as what it looks at.
        reach = min(distance, min(x.shape) // 2)
        return np.asarray(
            denoise_nl_means(x, patch_size=size, patch_distance=reach, h=NON_LOCAL_H * s, sigma=s, preserve_range=True)
        )

    return _scaled(image, sigma, denoise, dimensions=(2, 3))


def total_variation_chambolle(image: Array, sigma: float, *, num_iter: int = 100) -> Array:
    """The image of least total variation near the noisy one (Rudin-Osher-Fatemi), by Chambolle's iteration.

    Parameters
    ----------
    image : array
        NumPy array of any dimension.
    sigma : float
        Standard deviation of the noise, in units of `image`.
    num_iter : int
        Iterations at most.

    Returns
    -------
    array
        Of the shape and floating dtype of `image`, in its units.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    References
    ----------
    A. Chambolle, J. Math. Imaging Vis. 20, 89 (2004), doi:10.1023/B:JMIV.0000011325.36760.1e;
    `skimage.restoration.denoise_tv_chambolle`.
    """
    from skimage.restoration import denoise_tv_chambolle

    (most,) = per_axis(num_iter, 1, "num_iter", minimum=1)
    solve: Callable[..., Real] = denoise_tv_chambolle
    return _scaled(
        image,
        sigma,
        lambda x, s: np.asarray(solve(x, weight=TV_WEIGHT * s, eps=1e-5, max_num_iter=most)),
        dimensions=(1, 2, 3),
    )


def wavelet(image: Array, sigma: float, *, method: str = "BayesShrink") -> Array:
    """Soft thresholding of wavelet coefficients, averaged over shifts of the image.

    Parameters
    ----------
    image : array
        NumPy array of any dimension.
    sigma : float
        Standard deviation of the noise, in units of `image`.
    method : {"BayesShrink", "VisuShrink"}
        A threshold for each scale from its own spread, or one for all that removes every trace of noise.

    Returns
    -------
    array
        Of the shape and floating dtype of `image`, in its units.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.
    ImportError
        PyWavelets is not installed.

    References
    ----------
    S. G. Chang, B. Yu and M. Vetterli, IEEE Trans. Image Process. 9, 1532 (2000), doi:10.1109/83.862633;
    R. R. Coifman and D. L. Donoho, doi:10.1007/978-1-4612-2544-7_9 (shifts); `skimage.restoration.denoise_wavelet`.
    """
    from skimage.restoration import denoise_wavelet

    method = choice(method, ("BayesShrink", "VisuShrink"), "method")

    def denoise(x: Real, s: float) -> Real:
        # Shifts by 0 ... 3 pixels along each axis: the checkered pattern of a single decimated transform cancels.
        shifts = list(np.ndindex(*(2,) * x.ndim))
        total = np.zeros_like(x)
        for shift in shifts:
            by = tuple(3 * k for k in shift)
            axes = tuple(range(x.ndim))
            part = denoise_wavelet(np.roll(x, by, axes), sigma=s, method=method, wavelet="db4", rescale_sigma=False)
            total += np.roll(part, tuple(-b for b in by), axes)
        return total / len(shifts)

    return _scaled(image, sigma, denoise, dimensions=(1, 2, 3))


def bilateral(image: Array, sigma: float, *, reach: float = 1.5) -> Array:
    """The bilateral filter: a mean over neighbours near in place and in grey.

    Parameters
    ----------
    image : array, 2-D
        NumPy array.
    sigma : float
        Standard deviation of the noise, in units of `image`.
    reach : float
        Standard deviation of the weights in the plane, in pixels.

    Returns
    -------
    array
        Of the shape and floating dtype of `image`, in its units.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    References
    ----------
    C. Tomasi and R. Manduchi, ICCV (1998), doi:10.1109/ICCV.1998.710815; `skimage.restoration.denoise_bilateral`.
    """
    from skimage.restoration import denoise_bilateral

    reach = number(reach, "reach", above=0.0)
    return _scaled(
        image,
        sigma,
        lambda x, s: np.asarray(denoise_bilateral(x, sigma_color=BILATERAL_COLOUR * s, sigma_spatial=reach)),
        dimensions=(2,),
    )


def _scaled(
    image: Array, sigma: float, denoise: Callable[[Real, float], Real], *, dimensions: tuple[int, ...]
) -> Array:
    """Denoise on the scale 0 ... 1, the only one on which all of these functions mean the same by their parameters."""
    image = floating(image, "image", moderate=True)
    if not is_numpy(image):
        raise TypeError(f"image is a {kind(image)}; scikit-image's denoisers take NumPy arrays: pass image.numpy()")
    if image.ndim not in dimensions:
        raise ValueError(
            f"image has {image.ndim} dimensions; {' or '.join(map(str, dimensions))} are wanted, one image at a time"
        )
    sigma = number(sigma, "sigma", minimum=0.0)
    low, high = float(image.min()), float(image.max())
    if sigma == 0 or high == low:
        return image.copy()
    result = denoise((image - low) / (high - low), sigma / (high - low))
    return (low + (high - low) * result).astype(image.dtype, copy=False)
