"""The worker for other machines: jobs over HTTP, carried out by the same worker process as on this machine."""
