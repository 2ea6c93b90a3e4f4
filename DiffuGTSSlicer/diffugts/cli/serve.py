"""`diffugts serve`: computes for other machines, such as workstations without a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffugts.errors import InstallationError
from diffugts.models import models_by_name


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default is reached from this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8765,
    tokens: Annotated[Path | None, typer.Option(help="File of tokens, one a line; needed beyond this machine.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate chain (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="The certificate's private key (PEM).")] = None,
    scans_readable_on_the_way: Annotated[
        bool, typer.Option("--scans-and-tokens-readable-on-the-way", help="Answer other machines without TLS.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Where jobs lie until they are delivered. [default: .diffugts/server at home]")
    ] = None,
    models: Annotated[list[Path] | None, typer.Option(help="Further folder of models; may be repeated.")] = None,
    gpus: Annotated[str, typer.Option(help="CUDA devices such as 0,1: a worker for each. [default: one worker]")] = "",
    keep_hours: Annotated[
        float, typer.Option(min=0.01, help="Results that nobody fetches are deleted after this.")
    ] = 24.0,
    largest_scan_mb: Annotated[int, typer.Option(min=1)] = 2048,
    requests_per_minute: Annotated[int, typer.Option(min=1, help="For each token.")] = 600,
    jobs_per_token: Annotated[int, typer.Option(min=1, help="Jobs of one token on the server at once.")] = 20,
) -> None:
    """Compute for other machines over HTTP (docs/server.md). Listens on this machine alone unless told otherwise."""
    try:
        from diffugts.server.run import serve as run
    except ImportError as error:
        raise InstallationError(
            f"The server needs '{error.name}', which is not installed. Install it with: pip install 'diffugts[server]'"
        ) from error
    from diffugts.server.settings import Limits, ServerSettings, read_tokens

    run(
        ServerSettings(
            folder=folder or Path.home() / ".diffugts" / "server",
            models=models_by_name(models or []),
            host=host,
            port=port,
            tokens=read_tokens(tokens) if tokens else (),
            certificate=certificate,
            key=key,
            plain_http=scans_readable_on_the_way,
            gpus=tuple(part.strip() for part in gpus.split(",") if part.strip()),
            limits=Limits(
                scan_bytes=largest_scan_mb << 20,
                requests_per_minute=requests_per_minute,
                jobs_per_token=jobs_per_token,
                keep_s=keep_hours * 3600,
            ),
        )
    )
