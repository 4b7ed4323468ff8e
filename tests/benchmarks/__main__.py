"""``python -m tests.benchmarks [NAME ...]``: one table of what was measured against what is aimed at."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "iteration",
    "acceleration",
    "filters",
    "whole_program",
    "edges",
    "back_projectors",
    "noise_levels",
    "camera_shake",
    "variational",
    "networks",
    "optics",
    "large_volumes",
    "interrupted_runs",
    "gpu",
)


def main() -> None:
    """Run the named benchmarks, or all, and print their rows as they come."""
    unknown = set(sys.argv[1:]) - set(NAMES)
    if unknown:
        sys.exit(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    print("| what | measured | goal | reached |\n|---|---|---|---|")
    for name in sys.argv[1:] or NAMES:
        for row in importlib.import_module(f"tests.benchmarks.{name}").rows():
            reached = {None: "", True: "yes", False: "NO"}[row.reached]
            print(f"| {row.what} | {row.measured} | {row.goal} | {reached} |", flush=True)


if __name__ == "__main__":
    main()
