"""Training of what the project ships: autoencoder, denoiser, attention, in that order."""
