"""The web demo, extra `demo`: the same upscaling as `lsm upscale`, with an image to look at."""
