"""The packaged networks: time and memory for a megapixel, and whether tiles show."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np

from .common import Row, ratio, together

SIDE = 1000  # pixels of the image that is enlarged
SECONDS, MEGABYTES = 1.5, 1000.0  # goals for the small network
SEAM = 1e-5  # goal: largest difference of tiled and whole, where white is 1
ROUNDS = 5

# In a process of its own, so that nothing else counts: the most memory that it ever held.
ALONE = f"""
import resource
import numpy as np
from sigdeconv.transposed import upscale
upscale(np.random.default_rng(0).random(({SIDE}, {SIDE}), dtype=np.float32), 2, network="fast")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def rows() -> Iterator[Row]:
    """Enlarging by two, and denoising."""
    import torch

    from sigdeconv.transposed import denoise, upscale
    from sigdeconv.transposed._packaged import upscaler

    image = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
    net = upscaler("fast", 2, torch.device("cpu"))
    batch = torch.from_numpy(image)[None, None]

    def whole() -> np.ndarray:
        with torch.no_grad():
            return net(batch)[0, 0].numpy()

    times = together(ROUNDS, tiled=lambda: upscale(image, 2, network="fast"), whole=whole)
    median = float(np.median(times["tiled"]))
    yield Row("upscale x2, one megapixel, 13 K network", f"{median:.2f} s", f"<= {SECONDS} s", median <= SECONDS)
    yield Row("whole image at once / tiled, time", f"{ratio(times['whole'], times['tiled']):.2f}")
    seam = float(np.abs(upscale(image, 2, network="fast") - whole()).max())
    yield Row("tiled against whole, largest difference", f"{seam:.1e}", f"<= {SEAM:g}", seam <= SEAM)
    run = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    memory = float(run.stdout)
    yield Row("the same, whole process, peak memory", f"{memory:.0f} MB", f"<= {MEGABYTES:.0f} MB", memory <= MEGABYTES)
    others = together(2, strong=lambda: upscale(image, 2), denoised=lambda: denoise(image, 0.1))
    yield Row("upscale x2, one megapixel, 242 K network", f"{np.median(others['strong']):.1f} s")
    yield Row("denoise, one megapixel, 586 K network", f"{np.median(others['denoised']):.1f} s")
