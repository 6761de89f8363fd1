"""Everything that mixes tokens: (B, L, C) and the image size (H, W) in, (B, L, C) out."""
