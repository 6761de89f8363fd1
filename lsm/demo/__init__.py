"""The web demo, extra `demo`: the same upscaling as `lsm upscale`, with a picture to look at."""
