"""The server under Ray Serve, on this machine: `python served_on_ray.py PORT name=value...`, until the input ends."""

from __future__ import annotations

import sys

import ray
from ray import serve

from diffugts.server.on_ray import application

if __name__ == "__main__":
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(application(dict(argument.split("=", 1) for argument in sys.argv[2:])), name="diffugts")
    print("ready", flush=True)
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()
