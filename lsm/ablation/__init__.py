"""Ablations: variants of one training, trained with several seeds each and compared picture by picture."""
