"""The benchmark: the project's figures, measured as ratios within one run. See docs/explanation/figures.md."""

from ops.bench.command import main

__all__ = ["main"]
