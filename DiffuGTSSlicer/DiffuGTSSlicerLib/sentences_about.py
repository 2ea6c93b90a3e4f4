"""Sentences that are read where several volumes are meant: each names its own."""

from __future__ import annotations


def about(volume_name: str, sentence: str) -> str:
    """A sentence with the volume that it is about before it, unless it names the volume itself."""
    return sentence if f"'{volume_name}'" in sentence else f"{volume_name}: {sentence}"
