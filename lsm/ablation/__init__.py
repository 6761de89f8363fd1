"""Ablations: variants of one training, trained with several seeds each and compared image by image."""
