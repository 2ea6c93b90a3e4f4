"""How the logits of appearance (`appearance`) enter the attention's.

    A' = A + w clip(D, l, m)    where A > s,        A' = A elsewhere

A is the attention's logit of one description, D the appearance's, which is the same for all: the words choose among what is
there, as before, and where they are silent nothing speaks for them. Without torch: presets are read where nothing is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class AppearanceFusion:
    """`weight` w; `least` l, `most` m and `silent` s in logits. Weight 0: appearance does not enter at all."""

    weight: float = 0.0
    least: float = -4.0
    most: float = 4.0
    silent: float = -4.0

    def spoken(self, attention: torch.Tensor) -> torch.Tensor:
        """Where the attention is not silent, bool of its shape: where the appearance is wanted."""
        return attention > self.silent

    def fused(self, attention: torch.Tensor, appearance: torch.Tensor) -> torch.Tensor:
        """The attention's logits with those of the appearance, of the same shape."""
        added = attention + self.weight * appearance.clamp(self.least, self.most)
        return added.where(self.spoken(attention), attention)
