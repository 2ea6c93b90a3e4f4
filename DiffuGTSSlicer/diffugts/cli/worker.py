"""`diffugts worker`: the background process that 3D Slicer talks to."""

from __future__ import annotations

from typing import Annotated

import typer

from diffugts.cli.segment import KeepFeatures, KeepFeaturesGb, kept_features


def worker(
    idle_release: Annotated[
        float,
        typer.Option(help="Seconds without a job after which model and scans are let go, and the GPU freed; 0 never."),
    ] = 300.0,
    keep_mb: Annotated[
        int | None, typer.Option(help="Most memory for the features of earlier scans. [default: a fifth, at most 4096]")
    ] = None,
    keep_features: KeepFeatures = None,
    keep_features_gb: KeepFeaturesGb = 20.0,
    picture: Annotated[bool, typer.Option(help="Draw a picture of each finding, as `diffugts run` does.")] = False,
) -> None:
    """Serve jobs as JSON lines on standard input and output, until the input ends."""
    from diffugts.worker.channel import Channel

    # First of all: from here on nothing but events reaches standard output.
    channel = Channel.take_standard_streams()
    from diffugts.worker.server import Worker
    from diffugts.worker.shelf import ModelShelf

    kept = kept_features(keep_features, keep_features_gb)
    shelf = ModelShelf(most_feature_bytes=None if keep_mb is None else keep_mb << 20, kept=kept)
    worker = Worker(channel, shelf, idle_release if idle_release > 0 else None, pictures=picture)
    raise typer.Exit(worker.serve())
