"""Descriptions: what a user types, read, expanded, turned into prompts and into embeddings."""
