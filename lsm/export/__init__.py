"""Networks for other programs to run: as ONNX files and as saved programs of torch."""
