"""The linear recurrence h_k = a_k h_{k-1} + b_k: one function, several backends."""

from lsm.scan.api import BACKENDS, linear_scan
from lsm.scan.modulated import modulated_scan

__all__ = ["BACKENDS", "linear_scan", "modulated_scan"]
