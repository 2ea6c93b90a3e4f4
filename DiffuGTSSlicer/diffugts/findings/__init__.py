"""Findings: what was found for each description, measured, judged, written and shown."""
