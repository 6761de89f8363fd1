"""From files to larger files: images in and out, tiles, memory, and the `Upscaler` that runs a network over them."""
