"""Undoing a blur that is not known: the PSF is estimated along with the image, one module for each idea.

`photons` alternates Richardson-Lucy steps on the image and on the PSF; `parametric` finds the one or two numbers of a
PSF with a formula from the image's spectrum; `camera_shake` reads a free-form PSF off the strong edges of a photograph.
"""
