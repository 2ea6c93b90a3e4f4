"""Evaluation on real cases: how good the masks, the pseudo-healthy scans and the words are."""
