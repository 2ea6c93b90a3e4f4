"""The frozen medical latent diffusion model: autoencoder, denoiser, and the features read from both."""
