"""How super-resolution and restoration are measured, in words that go into every report."""

PROTOCOL = """\
classical-sr-y: output clamped to [0, 1], times 255, rounded to uint8; HR cropped at its bottom and right to a multiple
of the scale; LR files where given, else MATLAB bicubic (antialiased) of that HR, in uint8; `scale` pixels cropped at
each side; Y of BT.601 (MATLAB rgb2ycbcr, 16 to 235, not rounded) from 8-bit RGB; PSNR with peak 255; SSIM with an 11x11
Gaussian window of sigma 1.5, K1 0.01, K2 0.03, valid region only, float64; the mean of per-image values; whole images,
no self-ensemble unless the name ends in "+". classical-sr-rgb: the same on R, G and B, PSNR over all three together,
SSIM as the mean of the three. What departs from this is in the name: -tiled-SIDE-OVERLAP, -bf16, -fp16."""

REAL_PROTOCOL = """\
real-sr-y: classical-sr-y on LR in nine conditions, see lsm/data/real_sr.py: clean, MATLAB's bicubic of HR; jpeg95, 85,
75, 50, 30, the same compressed by Pillow at this quality with 4:2:0; noise10, the same with white Gaussian noise of
sigma 10 (in steps of 8 bits), clamped and rounded; linear, OpenCV's INTER_LINEAR, which does not antialias; mixed, HR
blurred by a Gaussian of sigma 1.2 of its pixels, MATLAB's bicubic, noise of sigma 5, JPEG of quality 60. Noise follows
from the image's name. Gain: PSNR over MATLAB bicubic of the same LR. The protocol it follows:
"""
"""How super-resolution of real images is measured; `PROTOCOL` follows it."""

LPIPS_PROTOCOL = """
LPIPS: version 0.1 with AlexNet as torchvision has it (trained on ImageNet), by its authors' package; on R, G and B of
the 8-bit images whatever the channel of the others, cropped as for PSNR, scaled to [-1, 1], in float32 on the
processor; lower is better; the mean of per-image values."""
"""What follows the text of a protocol where LPIPS is measured too."""

RESTORATION_PROTOCOLS = {
    "colour-denoising-rgb": """\
white Gaussian noise of standard deviation sigma (in steps of 8 bits), independent in R, G and B, added to the 8-bit
image and neither clamped nor rounded; output clamped to [0, 1], times 255, rounded to uint8; no crop; PSNR over R, G
and B together with peak 255, SSIM as the mean of the three; the mean of per-image values; whole images.""",
    "colour-denoising-rgb-8bit": """\
the same, but the noisy image is clamped and rounded to uint8, as a file holds it.""",
    "jpeg-grey": """\
Y of BT.601 (MATLAB rgb2ycbcr, 16 to 235), rounded, is the image; compressed as grey at quality q by Pillow (libjpeg);
output clamped, times 255, rounded to uint8; no crop; PSNR with peak 255, SSIM, and PSNR-B with 8x8 blocks, on these
grey values as they are (three equal channels, so `channel="rgb"`); the mean of per-image values; whole images.""",
    "jpeg-colour-y": """\
the colour image compressed at quality q by Pillow with 4:2:0 subsampling; the same measures on Y of BT.601.""",
}
"""How restoration is measured, by the protocol's name; windows and constants of SSIM as in `PROTOCOL`."""
