"""The benchmark: the project's figures, measured as ratios within one run. See docs/explanation/figures.md."""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; see `ops.bench.command.main`."""
    # Workers of the peers' environment import parts of this package, and must not load the product with them.
    from ops.bench.command import main as run

    return run(argv)
