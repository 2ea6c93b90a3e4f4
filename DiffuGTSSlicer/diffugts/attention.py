"""Anomaly-aware open-vocabulary attention (AOVA): where in the scan is what the words describe?

After Jiang et al., "Advancing Generalizable Tumor Segmentation with Anomaly-Aware Open-Vocabulary Attention Maps
and Frozen Foundation Diffusion Models" (CVPR 2025, arXiv 2505.02753). For every level l of the frozen features F_l:

    F'_l = a T_l(F_l) + (1 - a) F_l                     residual adapter, T_l two linear layers
    Q_l  = W_l F'_l,   K_l = MLP_l(e)                    e: embeddings of the texts for the normal and abnormal state
    A    = softmax over the texts of  sum_l Q_l . K_l / sqrt(d)

A's share of the abnormal text is the score map. With two texts the softmax is the logistic function of the
difference of their logits, and that is how it is computed.

The compact preset puts a pyramid of convolutions between adapters and queries, because its small foundation
sees little context (docs/decisions.md). It never looks at the text, so that a second description on the same scan
costs a dot product. The image-level anomaly score reads the class embedding g, the mean of the queries weighted
by the attention itself, against the text: is what the words describe there at all?
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn

SLAB_ELEMENTS = 1 << 27
"""Features that are standardised and adapted at once. More go in slabs: single precision and its intermediate results of a
whole scan at stride 2 would be several GB."""

Queries = dict[int, torch.Tensor]
"""Stride in working-grid voxels -> queries (n, d, k/stride, j/stride, i/stride)."""


@dataclass(frozen=True)
class AttentionMaps:
    """For each description: logits of the abnormal against the normal text (n, 1, k/2, j/2, i/2), `presence` (n,) logits."""

    logits: torch.Tensor
    presence: torch.Tensor


class AnomalyAttention(ModelMixin, ConfigMixin):
    """Adapters, pyramid and text attention over frozen features.

    `channels` are those of the features at strides 2, 4 and 8; `widths` those of the pyramid at strides 2, 4, 8, 16
    and 32; `query_size` is d. `adapter_ratio` is the paper's a.
    """

    config_name = "config.json"
    strides = (2, 4, 8)

    @register_to_config
    def __init__(
        self,
        channels: Sequence[int] = (48, 168, 128),
        widths: Sequence[int] = (24, 48, 64, 64, 64),
        query_size: int = 32,
        text_size: int = 384,
        adapter_ratio: float = 0.5,
    ) -> None:
        super().__init__()
        for stride, count in zip(self.strides, channels):
            self.register_buffer(f"mean_{stride}", torch.zeros(count))
            self.register_buffer(f"spread_{stride}", torch.ones(count))
        self.adapters = nn.ModuleList(Adapter(count, adapter_ratio) for count in channels)
        self.pyramid = Pyramid(channels, widths)
        self.to_queries = nn.ModuleList(nn.Conv3d(width, query_size, 1) for width in widths)
        self.to_keys = nn.ModuleList(_mlp(text_size, 128, query_size) for _ in widths)
        self.presence_text = _mlp(text_size, 128, query_size)
        self.presence_image = _mlp(query_size * len(widths), 128, query_size)
        self.bias = nn.Parameter(torch.tensor(-2.0))
        self.presence_bias = nn.Parameter(torch.tensor(0.0))

    def standardise(self, levels: Mapping[int, torch.Tensor]) -> dict[int, torch.Tensor]:
        """Features with zero mean and unit spread per channel, outliers clipped."""
        return {
            stride: (
                (level.float() - _channels(getattr(self, f"mean_{stride}")))
                / _channels(getattr(self, f"spread_{stride}"))
            ).clamp(-8, 8)
            for stride, level in levels.items()
        }

    def forward(
        self, levels: Mapping[int, torch.Tensor], normal: torch.Tensor, abnormal: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and presence of `attend_each` from features (m, channels, ...): what a training step needs."""
        maps = self.attend_each(self.query(levels), normal, abnormal)
        return maps.logits, maps.presence

    def query(self, levels: Mapping[int, torch.Tensor]) -> Queries:
        """Queries of a scan's features, independent of any text: what is kept of a scan."""
        narrowed = [self._narrowed(number, levels[stride]) for number, stride in enumerate(self.strides)]
        return {
            2 ** (index + 1): functional.silu(query(level))
            for index, (query, level) in enumerate(zip(self.to_queries, self.pyramid(narrowed)))
        }

    def _narrowed(self, number: int, level: torch.Tensor) -> torch.Tensor:
        """A level's features standardised, adapted and brought to the pyramid's width: each voxel by itself, thus in slabs."""
        stride = self.strides[number]

        def narrow(slab: torch.Tensor) -> torch.Tensor:
            return self.pyramid.enter[number](self.adapters[number](self.standardise({stride: slab})[stride]))

        if level.numel() <= SLAB_ELEMENTS:
            return narrow(level)
        thickness = max(1, SLAB_ELEMENTS // level[:, :, 0].numel())
        return torch.cat([narrow(slab) for slab in level.split(thickness, dim=2)], dim=2)

    def attend(self, queries: Queries, normal: torch.Tensor, abnormal: torch.Tensor) -> AttentionMaps:
        """Attention of n descriptions on one scan: embeddings (n, text_size) of the normal and the abnormal texts."""
        return self.attend_each(queries, normal[None], abnormal[None])

    def attend_each(self, queries: Queries, normal: torch.Tensor, abnormal: torch.Tensor) -> AttentionMaps:
        """Attention of n descriptions on each of m scans: embeddings (m, n, text_size); the maps of a scan follow each other."""
        size = queries[2].shape[2:]
        scale = 1.0 / math.sqrt(self.config["query_size"])
        logits = self.bias.view(1, 1, 1, 1, 1)
        for (_stride, query), key in zip(queries.items(), self.to_keys):
            direction = key(abnormal) - key(normal)
            level = torch.einsum("mcxyz,mnc->mnxyz", query.float(), direction.float()).flatten(0, 1)[:, None] * scale
            logits = logits + (level if level.shape[2:] == size else _upsample(level, size))
        return AttentionMaps(logits, self.presence(queries, logits, normal, abnormal))

    def presence(
        self, queries: Queries, logits: torch.Tensor, normal: torch.Tensor, abnormal: torch.Tensor
    ) -> torch.Tensor:
        """Logits (m * n,) of the image-level anomaly score, from the logits (m * n, 1, ...) of the maps."""
        pooled = []
        for query in queries.values():
            weight = functional.adaptive_max_pool3d(torch.sigmoid(logits), query.shape[2:]) + 1e-4
            each = weight[:, 0].unflatten(0, normal.shape[:2])
            sums = torch.einsum("mcxyz,mnxyz->mnc", query.float(), each).flatten(0, 1)
            pooled.append(sums / weight.flatten(1).sum(1, keepdim=True))
        embedding = self.presence_image(torch.cat(pooled, dim=1))
        text = (self.presence_text(abnormal) - self.presence_text(normal)).flatten(0, 1)
        return (embedding * text).sum(1) / math.sqrt(self.config["query_size"]) + self.presence_bias


class Adapter(nn.Module):
    """F' = a T(F) + (1 - a) F with T two linear layers on the channels; a = 0 leaves the features as they are."""

    def __init__(self, channels: int, ratio: float) -> None:
        super().__init__()
        self.ratio = ratio
        self.linear = nn.Sequential(nn.Conv3d(channels, channels, 1), nn.ReLU(), nn.Conv3d(channels, channels, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.ratio == 0:
            return features
        return self.ratio * self.linear(features) + (1 - self.ratio) * features


class Pyramid(nn.Module):
    """Context for every level: down to stride 32 and back up, no statistics across voxels.

    Normalisation is by the channels of each voxel alone, so that what a voxel is does not depend on how much of
    the body was scanned or into which tiles it was cut.
    """

    def __init__(self, channels: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        w2, w4, w8, w16, w32 = widths
        self.enter = nn.ModuleList(nn.Conv3d(c, w, 1) for c, w in zip(channels, (w2, w4, w8)))
        self.down = nn.ModuleList([Block(w4, w8, 2), Block(w8, w16, 2), Block(w16, w32, 2)])
        self.deepest = Block(w32, w32)
        self.up = nn.ModuleList([Block(w32 + w16, w16), Block(w16 + w8, w8), Block(w8 + w4, w4)])
        self.last = nn.Conv3d(w4, w2, 1)
        self.finest = nn.ModuleList([Block(w2, w2), Block(w2, w2)])

    def forward(self, levels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Features at strides 2, 4, 8, brought to the pyramid's widths by `enter`, to features at strides 2, 4, 8, 16, 32."""
        fine, quarter, eighth = levels
        eighth = eighth + self.down[0](quarter)
        sixteenth = self.down[1](eighth)
        deepest = self.down[2](sixteenth)
        deepest = deepest + self.deepest(deepest)
        sixteenth = self.up[0](_joined(sixteenth, deepest))
        eighth = self.up[1](_joined(eighth, sixteenth))
        quarter = self.up[2](_joined(quarter, eighth))
        fine = functional.silu(fine + _upsample(self.last(quarter), fine.shape[2:]))
        for block in self.finest:
            fine = fine + block(fine)
        return [fine, quarter, eighth, sixteenth, deepest]


class Block(nn.Module):
    """3x3x3 convolution, normalisation over the channels of each voxel, SiLU."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(channels, width, 3, stride=stride, padding=1)
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = self.convolution(features)
        power = features.float().square().mean(1, keepdim=True)
        return functional.silu(
            features * torch.rsqrt(power + 1e-5).to(features.dtype) * _channels(self.gain).to(features.dtype)
        )


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))


def _channels(values: torch.Tensor) -> torch.Tensor:
    return values.view(1, -1, 1, 1, 1)


def _upsample(features: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    return functional.interpolate(features, size=tuple(size), mode="trilinear")


def _joined(fine: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
    return torch.cat([fine, _upsample(coarse, fine.shape[2:])], dim=1)
