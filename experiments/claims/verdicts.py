"""What a tested claim is, and the page that tells of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

TRUE, FALSE, ONLY_IF = "true", "false", "only if"


class Case(NamedTuple):
    """One circumstance in which a claim was checked."""

    circumstance: str
    measured: str  #: with its unit
    holds: bool


class Claim(NamedTuple):
    """A claim as it is commonly written, the cases in which it was checked, and what follows."""

    name: str  #: for links
    text: str
    cases: Sequence[Case]
    why: str  #: in one to three sentences; for "only if" it names the condition
    see: tuple[str, ...] = ()  #: experiments and pages that show more

    @property
    def verdict(self) -> str:
        """Computed: "true" if the claim held in all cases, "false" if in none, else "only if"."""
        held = [case.holds for case in self.cases]
        return TRUE if all(held) else ONLY_IF if any(held) else FALSE


MARKS = {TRUE: "✔ true", FALSE: "✘ false", ONLY_IF: "◐ only if"}
HEAD = """<!-- Written by `python -m experiments.claims -o docs/explanation/claims.md`: change the code, not this. -->

# Claims put to the test

What is commonly written about deconvolution and transposed convolution, checked. Each claim was tried in several cases.
It is **true** if it held in all of them, **false** if in none, and otherwise true **only if** the condition in the text
holds. The verdicts are computed from the numbers below by `python -m experiments.claims`; the tests of the project
compute them again.

| claim | verdict |
|---|---|
"""


def page(claims: Sequence[Claim]) -> str:
    """The page, in Markdown."""
    lines = [f"| [{cell(c.text)}](#{c.name}) | {MARKS[c.verdict]} |" for c in claims]
    return HEAD + "\n".join(lines) + "\n\n" + "\n".join(_section(c) for c in claims)


def _section(claim: Claim) -> str:
    rows = "\n".join(
        f"| {cell(case.circumstance)} | {cell(case.measured)} | {'yes' if case.holds else 'no'} |"
        for case in claim.cases
    )
    more = f"\n\nMore: {', '.join(link(target) for target in claim.see)}." if claim.see else ""
    return (
        f"({claim.name})=\n\n## “{claim.text}”\n\n**{MARKS[claim.verdict]}.** {claim.why}\n\n"
        f"| case | measured | holds |\n|---|---|---|\n{rows}{more}\n"
    )


def cell(text: str) -> str:
    """Text that a cell of a table can hold."""
    return text.replace("|", "\\|")


def link(target: str) -> str:
    """A link to the page of an experiment, or to a page of the documentation (which has a dash in its name)."""
    if "/" in target:
        return f"[{target.rsplit('/', 1)[1].replace('-', ' ')}](../{target}.md)"
    return f"[experiment {target}](../gallery/{target}.rst)"


def number(value: float, digits: int = 2) -> str:
    """A number that changes no more than its last digit from machine to machine: rounding errors show as a bound."""
    if value == 0:
        return "0"
    if abs(value) < 1e-9:
        return "less than 1e-9"
    if abs(value) < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:.{digits}f}".replace("-", "−")
