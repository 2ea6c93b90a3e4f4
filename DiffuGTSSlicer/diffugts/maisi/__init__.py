"""NVIDIA's MAISI foundations, published as NV-Generate-CT and NV-Generate-MR-Brain: fetching, converting, assembling them."""
