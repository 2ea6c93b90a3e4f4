"""Deep supervision after nnU-Net: every head of a network learns, the finest one most."""

from __future__ import annotations

from collections.abc import Callable

import torch


def supervised(
    logits: torch.Tensor, labels: torch.Tensor, criterion: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """The loss of the output (n, 1, ...), or of every head (n, heads, 1, ...) with weights 1, 1/2, 1/4 ..., whose sum is 1."""
    if logits.dim() == labels.dim():
        return criterion(logits, labels)
    weights = torch.tensor([0.5**n for n in range(logits.shape[1])], device=logits.device)
    losses = torch.stack([criterion(logits[:, head], labels) for head in range(logits.shape[1])])
    return (losses * weights / weights.sum()).sum()
