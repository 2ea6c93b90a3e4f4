"""How the logits of appearance (`appearance`) enter the attention's.

    E  = w (clip(D, l, m) + r)
    A' = A + E                      where E < 0 and A > s
    A' = A + E sigmoid((A - h) / t)    where E > 0 and A > s

in scans where D recognises a tumour; A' = A elsewhere. A is the attention's logit of one description, D the appearance's,
which is the same for all. So what looks like healthy tissue speaks against any words, while what looks like a tumour speaks
for those alone that are half convinced already: a sarcoma is no liver tumour. D was learnt with few kinds of tumours. Where
it recognises none at all among what the words suspect, its "no" says that it does not know this kind, and it abstains;
r keeps scores with and without it comparable. Without torch at file scope: presets are read where nothing is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class AppearanceFusion:
    """`weight` w; `raised` r, `least` l, `most` m, `silent` s, `halfway` h and `softness` t in logits. Weight 0: not at all.

    A tumour is recognised where D is above 0, and A above s, in more than `recognised_ml`.
    """

    weight: float = 0.0
    raised: float = 1.5
    least: float = -4.0
    most: float = 4.0
    silent: float = -4.0
    halfway: float = 0.0
    softness: float = 0.5
    recognised_ml: float = 5.0

    def spoken(self, attention: torch.Tensor) -> torch.Tensor:
        """Where the attention is not silent, bool of its shape: where the appearance is wanted."""
        return attention > self.silent

    def fused(self, attention: torch.Tensor, appearance: torch.Tensor, voxel_ml: float) -> torch.Tensor:
        """The attention's logits (k, j, i) with those of the appearance, of the same shape, in voxels of `voxel_ml`."""
        spoken = self.spoken(attention)
        if float((spoken & (appearance > 0)).sum()) * voxel_ml <= self.recognised_ml:
            return attention
        entering = self.weight * (appearance.clamp(self.least, self.most) + self.raised)
        convinced = ((attention - self.halfway) / self.softness).sigmoid()
        return (attention + entering.where(entering < 0, entering * convinced)).where(spoken, attention)
