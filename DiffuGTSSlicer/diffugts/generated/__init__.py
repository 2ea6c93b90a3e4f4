"""Synthetic lesions, look-alikes and bodies: training signal and tests without anybody's data."""
