"""What happens to real images, done on purpose: blur, resizing, noise and JPEG in two rounds (arXiv:2107.10833)."""
