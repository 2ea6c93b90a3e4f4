"""Which device computes."""

from __future__ import annotations

import pytest
import torch

from diffugts.errors import RequestError
from diffugts.worker.device import choose_device, device_problem

HAS_CUDA = torch.cuda.is_available()


def test_the_cpu_works() -> None:
    assert device_problem("cpu") is None
    assert choose_device("cpu").name == "cpu"


@pytest.mark.parametrize("name", ["", "gpu", "cpu:1", "cuda:", "cuda:-1", "cuda:x", "CUDA", "meta", "mps:0"])
def test_a_name_that_is_no_device_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(RequestError, match="'auto', 'cpu', 'cuda', 'cuda:N' or 'mps'"):
        choose_device(name)


@pytest.mark.skipif(HAS_CUDA, reason="this machine has a CUDA device")
def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused_with_the_reason() -> None:
    assert choose_device("auto").name == "cpu" and not choose_device("auto").notes
    with pytest.raises(RequestError, match="torch .* (built without CUDA|finds no CUDA)"):
        choose_device("cuda")


@pytest.mark.skipif(not HAS_CUDA, reason="needs a CUDA device")
def test_with_a_gpu_auto_is_the_gpu_and_a_number_too_high_is_refused() -> None:
    assert device_problem("cuda:0") is None
    assert choose_device("auto").name == "cuda"
    with pytest.raises(RequestError, match="CUDA devices"):
        choose_device(f"cuda:{torch.cuda.device_count()}")


def test_a_device_that_computes_nothing_is_found_out() -> None:
    """torch's own "meta" device holds no numbers: a stand-in for a device that is listed and does not work."""
    problem = device_problem("meta")
    assert problem is not None and "convolution on it failed" in problem
