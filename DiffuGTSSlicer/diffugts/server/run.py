"""A server in this process, by uvicorn, until it is told to end."""

from __future__ import annotations

import logging
import sys

import uvicorn

from diffugts.server.app import make_app
from diffugts.server.settings import ServerSettings

MOST_CONNECTIONS = 200


def serve(settings: ServerSettings) -> None:
    """Answer until SIGINT or SIGTERM. The log has jobs' numbers, times and sizes: no address asked for, no text, no name."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("diffugts.server").setLevel(logging.INFO)
    scheme = "https" if settings.certificate else "http"
    logging.getLogger("diffugts.server").info("listening on %s://%s:%d", scheme, settings.host, settings.port)
    uvicorn.run(
        make_app(settings),
        host=settings.host,
        port=settings.port,
        ssl_certfile=str(settings.certificate) if settings.certificate else None,
        ssl_keyfile=str(settings.key) if settings.key else None,
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
    )
