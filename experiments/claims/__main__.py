"""``python -m experiments.claims [-o FILE]``: test every claim and write the page."""

from __future__ import annotations

from pathlib import Path

import click

from ..common import SkippedError, learning
from . import CLAIMS, page


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File; by default the terminal.")
def main(output: Path | None) -> None:
    """Test the claims of the literature about deconvolution, and say what was measured."""
    from tqdm import tqdm

    try:
        with learning():
            found = [claim() for claim in tqdm(CLAIMS, desc="claims", disable=None)]
    except SkippedError as reason:
        raise click.ClickException(str(reason)) from None
    text = page(found)
    if output is None:
        click.echo(text)
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(f"{output}: {len(found)} claims")


if __name__ == "__main__":
    main(prog_name="python -m experiments.claims")
