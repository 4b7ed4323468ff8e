"""The manners of the command: one line for an error, exit codes, notes on stderr, a progress bar, lists of numbers."""

from __future__ import annotations

import errno
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import io

if TYPE_CHECKING:
    from ._iterate import Callback, Iteration

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # generic in recent versions only

# Failures of the machine; any other OSError is a path that was given wrongly.
MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

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
    """A group of commands that ends with one line and an exit code, never with a traceback (but for ``--debug``)."""

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
            raise Failed(f"not enough memory: {error or 'of unknown size'}; pass a smaller image") from error
        except OSError as error:
            raise (Failed if error.errno in MACHINE else WrongInput)(str(error)) from error
        except (ValueError, TypeError, ImportError) as error:
            raise WrongInput(str(error)) from error
        except Exception as error:
            message = (
                f"{type(error).__name__}: {error}; this is a fault of the program: sigdeconv --debug ... shows where"
            )
            raise Failed(message) from error


class Numbers(_ParamType):
    """Numbers with commas between them: ``3`` or ``5,15,15``."""

    def __init__(self, kind: type[int] | type[float], metavar: str) -> None:
        self.kind, self.name = kind, metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of numbers."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self.kind(part) for part in str(value).split(","))
        except ValueError:
            wanted = "integers" if self.kind is int else "numbers"
            self.fail(f"{value!r}; {wanted} with commas between them are wanted, such as {self.name}", param, ctx)


class AxisOrNone(_ParamType):
    """An axis, or the word "none"."""

    name = "axis"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """An int or "none"."""
        try:
            return value if value == "none" else int(value)
        except ValueError:
            self.fail(f"{value!r}; an axis such as 0 or -1, or none, is wanted", param, ctx)


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
def progress(total: int, shown: bool | None, quiet: bool) -> Iterator[Callback | None]:
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
