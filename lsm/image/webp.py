"""The quality at which a lossy WebP was saved, from the quantiser in its frame's header (RFC 6386, section 9)."""

from __future__ import annotations


class _Bits:
    """The format's arithmetic decoder (section 7), for the fields before the coefficients."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 2
        self._value, self._range, self._shifted = int.from_bytes(data[:2], "big"), 255, 0

    def flag(self, probability: int = 128) -> bool:
        split = 1 + (((self._range - 1) * probability) >> 8)
        bit = self._value >= split << 8
        self._range, self._value = (self._range - split, self._value - (split << 8)) if bit else (split, self._value)
        while self._range < 128:
            self._value, self._range, self._shifted = self._value << 1, self._range << 1, self._shifted + 1
            if self._shifted == 8:
                self._value |= self._data[self._place]
                self._place, self._shifted = self._place + 1, 0
        return bit

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = value << 1 | self.flag()
        return value

    def optional_signed(self, bits: int) -> int:
        if not self.flag():
            return 0
        value = self.number(bits)
        return -value if self.flag() else value


def quality_of(data: bytes) -> int | None:
    """Return the quality from 0 to 100 with which libwebp reaches a file's quantiser; none if there is no lossy frame.

    libwebp's quantiser of 0 to 127 is `127 (1 - c^(1/3))` for `c = 2q/3` below `q = 0.75` and `c = 2q - 1` above, with
    the quality `q` from 0 to 1. With segments of different quantisers their mean is taken.
    """
    place = data.find(b"VP8 ", 12, 1 << 16)
    start = place + 8
    if place < 0 or data[start + 3 : start + 6] != b"\x9d\x01\x2a":
        return None
    try:
        quantiser = _quantiser(_Bits(data[start + 10 : start + 1024]))
    except IndexError:
        return None
    c = (1 - min(max(quantiser, 0.0), 127.0) / 127) ** 3
    return round(100 * (1.5 * c if c < 0.5 else (c + 1) / 2))


def _quantiser(bits: _Bits) -> float:
    """Read the header up to the quantiser of a key frame (section 9.3 to 9.6)."""
    bits.number(2)  # colour space, clamping
    absolute, by_segment = False, [0, 0, 0, 0]
    if bits.flag():  # segmentation
        update_map, update_data = bits.flag(), bits.flag()
        if update_data:
            absolute = bits.flag()
            by_segment = [bits.optional_signed(7) for _ in range(4)]
            for _ in range(4):
                bits.optional_signed(6)  # loop filter
        if update_map:
            for _ in range(3):
                if bits.flag():
                    bits.number(8)
    bits.number(1 + 6 + 3)  # loop filter
    if bits.flag() and bits.flag():
        for _ in range(8):
            bits.optional_signed(6)
    bits.number(2)  # partitions
    base = bits.number(7)
    if any(by_segment):
        return sum(by_segment) / 4 + (0 if absolute else base)
    return base
