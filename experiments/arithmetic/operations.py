"""Convolution and its transpose step by step, with real numbers: what each position of the kernel reads and writes.

In torch's sense, without flip. The shapes are those of `sigdeconv.transposed.arithmetic`; the values come from moving a
window or painting kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sigdeconv.transposed import conv_shape, equivalent_convolution, input_sizes, output_padding_for, transposed_shape

Numbers = np.ndarray[Any, Any]


class Settings(NamedTuple):
    """Of a convolution, or of a transposed one; the same along both axes."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    output_padding: int = 0

    def convolved(self, n: int) -> int:
        """What a convolution leaves of n samples."""
        return conv_shape(n, self.kernel, stride=self.stride, padding=self.padding, dilation=self.dilation)[0]

    def transposed(self, n: int) -> int:
        """What a transposed convolution makes of n samples."""
        return transposed_shape(n, **self._arguments())[0]

    def equivalent(self, n: int) -> Any:
        """The ordinary convolution that the transposed one is, along one axis."""
        return equivalent_convolution(n, **self._arguments())

    def told(self) -> str:
        """In words, without what is left out as usual."""
        parts = [f"kernel {self.kernel}", f"stride {self.stride}", f"padding {self.padding}"]
        parts += [f"dilation {self.dilation}"] * (self.dilation > 1)
        parts += [f"output_padding {self.output_padding}"] * (self.output_padding > 0)
        return ", ".join(parts)

    def _arguments(self) -> dict[str, int]:
        return {
            "kernel_size": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "output_padding": self.output_padding,
        }


class Step(NamedTuple):
    """One position of the kernel: where it lies, and the output after it."""

    read: tuple[int, int]  #: sample of the input (for a scatter), else of the output, that this step is about
    corner: tuple[int, int]  #: upper left tap of the kernel, on the canvas
    output: Numbers  #: after this step; NaN where nothing has been written


class Played(NamedTuple):
    """An operation, position by position."""

    kind: str  #: "convolution", "scatter" or "inserted"
    settings: Settings
    x: Numbers  #: the input
    kernel: Numbers  #: as it is laid on the canvas
    canvas: Numbers  #: what the kernel moves over: input with its padding, or the output before it is cut
    steps: list[Step]
    result: Numbers


def convolution(x: Numbers, kernel: Numbers, settings: Settings) -> Played:
    """Move the window over the padded input; each position gives one sample."""
    return _moved("convolution", x, kernel, settings, np.pad(x, settings.padding), settings.stride, len(x))


def inserted(x: Numbers, kernel: Numbers, settings: Settings) -> Played:
    """The transposed convolution as an ordinary one: zeros between the samples, zeros around, the kernel flipped."""
    return _moved("inserted", x, kernel[::-1, ::-1], settings, widened(x, settings), 1, len(x))


def widened(x: Numbers, settings: Settings) -> Numbers:
    """Zeros between the samples and around, as many as the equivalent convolution wants; any number of equal axes."""
    same = settings.equivalent(len(x))
    wide = np.zeros(same.inserted_shape * x.ndim)
    wide[(slice(None, None, settings.stride),) * x.ndim] = x
    (before, after) = same.padding[0]
    low, high = max(-before, 0), max(-after, 0)  # negative padding crops
    wide = wide[(slice(low, len(wide) - high),) * x.ndim]
    return np.pad(wide, (max(before, 0), max(after, 0)))


def _moved(kind: str, x: Numbers, kernel: Numbers, settings: Settings, canvas: Numbers, stride: int, n: int) -> Played:
    size = settings.convolved(n) if kind == "convolution" else settings.transposed(n)
    reach = settings.dilation * (settings.kernel - 1) + 1
    steps, output = [], np.full((size, size), np.nan)
    for i, j in np.ndindex(output.shape):
        y, x0 = i * stride, j * stride
        window = canvas[y : y + reach : settings.dilation, x0 : x0 + reach : settings.dilation]
        output[i, j] = np.sum(window * kernel)
        steps.append(Step((i, j), (y, x0), output.copy()))
    return Played(kind, settings, x, kernel, canvas, steps, output)


def scatter(x: Numbers, kernel: Numbers, settings: Settings) -> Played:
    """The transposed convolution as it is defined: every sample adds a copy of the kernel, and the frame is cut."""
    size, cut = settings.transposed(len(x)), settings.padding
    reach = settings.dilation * (settings.kernel - 1) + 1
    # Long enough for every copy of the kernel, and for what output_padding lets stand beyond them.
    side = max((len(x) - 1) * settings.stride + reach, cut + size)
    steps, canvas = [], np.zeros((side, side))
    touched = np.zeros(canvas.shape, bool)
    for i, j in np.ndindex(x.shape):
        corner = (i * settings.stride, j * settings.stride)
        at = tuple(slice(c, c + reach, settings.dilation) for c in corner)
        canvas[at] += x[i, j] * kernel
        touched[at] = True
        steps.append(Step((i, j), corner, np.where(touched, canvas, np.nan)))
    return Played("scatter", settings, x, kernel, canvas, steps, canvas[cut : cut + size, cut : cut + size])


def convolve(x: Numbers, kernel: Numbers, settings: Settings) -> Numbers:
    """The values alone."""
    return convolution(x, kernel, settings).result


def transpose(y: Numbers, kernel: Numbers, settings: Settings) -> Numbers:
    """The values alone."""
    return scatter(y, kernel, settings).result


def same_settings(n: int, settings: Settings) -> tuple[int, int]:
    """What is left of n samples, and what a transposed convolution with the same settings makes of that."""
    small = settings.convolved(n)
    return small, settings.transposed(small)


def failing_share(kernels: Sequence[int], strides: Sequence[int], sizes: Sequence[int]) -> dict[int, float]:
    """By stride: the share of sizes that do not come back with the same settings, over kernels and paddings."""
    found = {}
    for stride in strides:
        missed = [
            same_settings(n, Settings(k, stride, p))[1] != n
            for k in kernels
            for p in range((k + 1) // 2)
            for n in sizes
            if n + 2 * p >= k
        ]
        found[stride] = sum(missed) / len(missed)
    return found


def origins(small: int, settings: Settings) -> dict[int, int]:
    """All sizes that a convolution brings to `small`, and the output_padding that leads back to each."""
    s = settings
    (sizes,) = input_sizes(small, s.kernel, stride=s.stride, padding=s.padding, dilation=s.dilation)
    return {
        n: output_padding_for(small, n, s.kernel, stride=s.stride, padding=s.padding, dilation=s.dilation)[0]
        for n in sizes
    }


class RoundTrip(NamedTuple):
    """Two convolutions, and their transposes in the opposite order."""

    sizes: tuple[int, ...]  #: 17, after the first, after the second
    plain: tuple[int, ...]  #: on the way back with the same settings
    resolved: tuple[int, ...]  #: with output_padding
    paddings: tuple[int, ...]  #: which


def round_trip(n: int, layers: Sequence[Settings]) -> RoundTrip:
    """The shapes there and back."""
    sizes = [n]
    for layer in layers:
        sizes.append(layer.convolved(sizes[-1]))
    plain, resolved, paddings = [sizes[-1]], [sizes[-1]], []
    for layer, wanted in zip(reversed(layers), reversed(sizes[:-1]), strict=True):
        plain.append(layer.transposed(plain[-1]))
        paddings.append(origins(resolved[-1], layer)[wanted])
        resolved.append(layer._replace(output_padding=paddings[-1]).transposed(resolved[-1]))
    return RoundTrip(tuple(sizes), tuple(plain), tuple(resolved), tuple(paddings))


def there_and_back(x: Numbers, kernels: Sequence[Numbers], layers: Sequence[Settings]) -> dict[str, Numbers]:
    """A picture through the layers, and back by their transposes and by least squares: shapes and values."""
    trip = round_trip(len(x), layers)

    def forward(picture: Numbers) -> Numbers:
        for kernel, layer in zip(kernels, layers, strict=True):
            picture = convolve(picture, kernel, layer)
        return picture

    code = forward(x)
    back = code
    for kernel, layer, extra in zip(reversed(kernels), reversed(layers), trip.paddings, strict=True):
        back = transpose(back, kernel, layer._replace(output_padding=extra))
    matrix = np.stack([forward(unit.reshape(x.shape)).ravel() for unit in np.eye(x.size)], axis=1)
    least = np.linalg.lstsq(matrix, code.ravel(), rcond=None)[0].reshape(x.shape)
    gain = float(np.sum(back * x) / np.sum(back**2))  # the kindest: told by the truth
    return {"code": code, "back": back, "scaled": gain * back, "least squares": least}
