"""Claims about deconvolution that are often read, each put to the test: the verdict is computed from measured cases.

``python -m experiments.claims -o docs/explanation/claims.md`` writes the page. A claim is checked in several cases. It
is "true" if it holds in all of them, "false" if in none, and "only if" in between; the text then says when.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import networks, restoration, shapes, values
from .verdicts import Claim, page

#: In the order of the page: what is claimed of shapes, of values, of deconvolution, of networks.
CLAIMS: Sequence[Callable[[], Claim]] = (*values.CLAIMS, *shapes.CLAIMS, *restoration.CLAIMS, *networks.CLAIMS)

__all__ = ["CLAIMS", "page", "verdicts_of"]


def verdicts_of(names: Sequence[str] = ()) -> list[Claim]:
    """Test the claims (of those functions' names, or all of them)."""
    return [claim() for claim in CLAIMS if not names or claim.__name__ in names]
