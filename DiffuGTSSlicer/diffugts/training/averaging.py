"""The mean of several runs' weights, which is often better than each of them.

Works for runs that went on from the same weights (Wortsman et al., "Model soups", ICML 2022): they end in one basin,
so that the mean of the weights behaves like the mean of the predictions, at the price of one model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from diffugts.attention import AnomalyAttention
from diffugts.errors import RequestError


def average_attention(components: Sequence[Path], output: Path) -> None:
    """Write the attention whose weights are the mean of those of `components`, folders as diffusers saves them.

    Raises:
        RequestError: fewer than two components, or they differ in configuration.
    """
    if len(components) < 2:
        raise RequestError(f"An average needs at least two trained attentions; {len(components)} was given.")
    modules = [AnomalyAttention.from_pretrained(path) for path in components]
    for path, module in zip(components, modules):
        if _settings(module) != _settings(modules[0]):
            raise RequestError(f"{path} has other settings than {components[0]}: their weights cannot be averaged.")
    weights = [module.state_dict() for module in modules]
    with torch.no_grad():
        mean = {name: torch.stack([w[name].float() for w in weights]).mean(0) for name in weights[0]}
    modules[0].load_state_dict(mean)
    modules[0].save_pretrained(output)


def _settings(module: AnomalyAttention) -> dict[str, object]:
    return {name: value for name, value in module.config.items() if not name.startswith("_")}
