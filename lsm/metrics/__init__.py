"""PSNR, SSIM and PSNR-B as pure functions, and the protocols they follow."""
