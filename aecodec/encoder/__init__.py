"""What only the encoder does: latents refined for one picture, rate control."""
