"""Learn: photographs -> Lab batches -> generator and discriminator -> run folder -> ONNX."""
