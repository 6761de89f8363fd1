"""Image files and arrays: decode, encode, metadata, limits, resizing; needs errors and files only."""
