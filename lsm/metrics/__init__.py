"""PSNR, SSIM and PSNR-B as pure functions, and the protocols they follow; LPIPS and DISTS are in `perceptual`."""

from lsm.metrics.fidelity import CHANNELS, Channel, psnr, psnr_b, rgb_to_y, ssim
from lsm.metrics.protocols import LPIPS_PROTOCOL, PROTOCOL, REAL_PROTOCOL, RESTORATION_PROTOCOLS

__all__ = [
    "CHANNELS",
    "LPIPS_PROTOCOL",
    "PROTOCOL",
    "REAL_PROTOCOL",
    "RESTORATION_PROTOCOLS",
    "Channel",
    "psnr",
    "psnr_b",
    "rgb_to_y",
    "ssim",
]
