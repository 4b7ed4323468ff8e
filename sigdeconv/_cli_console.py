"""The manners of the command: one line for an error, exit codes, notes on stderr, a progress bar."""

from __future__ import annotations

import errno
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import io

if TYPE_CHECKING:
    from ._iterate import Callback, Iteration

# Failures of the machine; any other OSError is a path that was given wrongly.
MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

SEVERAL = 6  # values that fit on a line

FILE = click.Path(path_type=Path)
OUTPUT = click.option("-o", "--output", type=FILE, required=True, help="The file to write.")
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace the output file if it exists.")
QUIET = click.option("--quiet", is_flag=True, help="Say nothing but warnings and errors.")


class WrongInput(click.ClickException):
    """The user can cure it."""

    exit_code = 2


class Failed(click.ClickException):
    """The work could not be done."""

    exit_code = 1


class Interrupted(click.ClickException):
    """Ctrl-C."""

    exit_code = 130  # 128 + SIGINT, as in every shell


class Commands(click.Group):
    """A group of commands that ends with one line and an exit code, never with a traceback (but for ``--debug``).

    Its help lists the commands under the headings that they were added with.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sections: dict[str, list[str]] = {}

    def add_section(self, heading: str, *commands: click.Command) -> None:
        """Add commands under a heading."""
        for command in commands:
            self.add_command(command)
        self._sections[heading] = [str(command.name) for command in commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What the help says of the commands."""
        width = max(len(name) for name in self.commands)
        for heading, names in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [
                        (name.ljust(width), self.commands[name].get_short_help_str(formatter.width - width - 6))
                        for name in names
                    ]
                )

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run; with `standalone_mode` end the program."""
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except (click.ClickException, click.Abort) as error:
            if not standalone_mode:
                raise
            if type(error).__name__ == "NoArgsIsHelpError":  # since click 8.2; before, the help was shown
                click.echo(error.format_message() if isinstance(error, click.ClickException) else "")
                sys.exit(0)
            problem = error if isinstance(error, click.ClickException) else Interrupted("interrupted")
            context = error.ctx if isinstance(error, click.UsageError) else None
            hint = f" See: {context.command_path} --help" if context else ""
            click.echo(f"sigdeconv: error: {_line(problem.format_message())}{hint}", err=True)
            sys.exit(problem.exit_code)
        if standalone_mode:
            sys.exit(code if isinstance(code, int) else 0)
        return code

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it raises becomes a message and an exit code."""
        if ctx.params.get("debug"):
            return super().invoke(ctx)
        try:
            with _short_warnings():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            raise Interrupted("interrupted; no partial file is left") from None
        except MemoryError as error:
            remedy = "" if ";" in str(error) else "; pass a smaller image"
            raise Failed(f"not enough memory: {error or 'of unknown size'}{remedy}") from error
        except OSError as error:
            raise (Failed if error.errno in MACHINE else WrongInput)(str(error)) from error
        except (ValueError, TypeError, ImportError) as error:
            raise WrongInput(str(error)) from error
        except Exception as error:
            message = (
                f"{type(error).__name__}: {error}; this is a fault of the program: sigdeconv --debug ... shows where"
            )
            raise Failed(message) from error


def note(message: str, quiet: bool = False) -> None:
    """Say something on stderr that is no error."""
    if not quiet:
        click.echo(f"sigdeconv: {_line(message)}", err=True)


def read_noting(path: Path, quiet: bool) -> io.Picture:
    """Read a file, and say what a user should know of the reading."""
    picture = io.read(path)
    for text in picture.notes:
        note(f"{path}: {text}", quiet)
    return picture


@contextmanager
def progress(total: int | None, shown: bool | None, quiet: bool) -> Iterator[Callback | None]:
    """A bar with the time left, as the callback of an iteration; none where nobody looks."""
    if shown is None:
        shown = not quiet and sys.stderr.isatty()
    if not shown:
        # An iteration that nobody watches need not compute its change.
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit="iteration", file=sys.stderr, dynamic_ncols=True) as bar:

        def step(iteration: Iteration) -> None:
            if iteration.change == iteration.change:  # not NaN, as at first
                bar.set_postfix_str(f"change {iteration.change:.1e}", refresh=False)
            bar.update(iteration.index - bar.n)

        yield step


@contextmanager
def tiled(shown: bool | None, quiet: bool) -> Iterator[Callable[[Any], None]]:
    """A bar over the tiles of a large image, and at the end a note on what was chosen from the data."""
    from tqdm import tqdm

    if shown is None:
        shown = not quiet and sys.stderr.isatty()
    latest: list[Any] = []
    with tqdm(unit="tile", file=sys.stderr, dynamic_ncols=True, disable=not shown) as bar:

        def step(tile: Any) -> None:
            latest[:] = [tile]
            bar.total = tile.total
            bar.update(tile.done - bar.n)

        yield step
    if latest and latest[0].chosen:
        note(listed(latest[0].chosen), quiet)


@contextmanager
def watched(
    total: int | None, tol: float, shown: bool | None, quiet: bool, terms: Mapping[str, str] | None = None
) -> Iterator[Callback | None]:
    """A bar as in `progress`, and at the end a note on what was chosen from the data and how many iterations it took.

    `total` is None where the method finds the number itself; `terms` are names for what no option is called.
    """
    latest: dict[str, Any] = {}
    with progress(total, shown, quiet) as bar:

        def step(iteration: Iteration) -> None:
            latest.update(index=iteration.index, change=iteration.change, chosen=iteration.chosen)
            if bar is not None:
                bar(iteration)

        yield bar if quiet else step
    if latest:
        parts = [listed(latest["chosen"], terms)] if latest["chosen"].keys() - {"steps"} else []
        count = latest["index"]
        if total is None and "num_iter" not in latest["chosen"]:
            parts.append(f"{count} iterations")
        elif total is not None and count < total:
            parts.append(f"{count} of at most {total} iterations")
        elif latest["change"] > tol > 0:
            parts.append(f"all {count} iterations, after which the last changed {latest['change']:.1e} (--num-iter)")
        if parts:
            note("; ".join(parts))


def listed(chosen: Mapping[str, float | tuple[float, ...]], terms: Mapping[str, str] | None = None) -> str:
    """What was chosen, under the names of the options."""
    shown = {name: value for name, value in chosen.items() if name != "steps"}  # of each iteration: for no reader
    items = (f"{(terms or {}).get(name, name.replace('_', '-'))} {_value(value)}" for name, value in shown.items())
    return f"from the data: {', '.join(items)}"


def _value(value: float | tuple[float, ...]) -> str:
    if not isinstance(value, tuple):
        return f"{value:.4g}"
    if len(value) > SEVERAL:
        return f"{min(value):.4g} to {max(value):.4g} ({len(value)} images)"
    return " / ".join(f"{x:.4g}" for x in value)


@contextmanager
def _short_warnings() -> Iterator[None]:
    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        note(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _line(message: object) -> str:
    return " ".join(str(message).split())


def done(output: Path, shape: tuple[int, ...], dtype: str, quiet: bool, started: float) -> None:
    """The last line: what was written."""
    note(f"wrote {output}, {shape} {dtype}, in {time.perf_counter() - started:.1f} s", quiet)


def refuse_same(output: Path, source: Path, name: str) -> None:
    """Keep an input from being replaced by the output."""
    if output.exists() and source.exists() and os.path.samefile(output, source):
        raise ValueError(f"{output} is what {name} is read from; pass another output file")
