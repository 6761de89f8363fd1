"""XMP packets: copied as they are, but for the few properties that an upright, larger copy makes false.

https://developer.adobe.com/xmp/docs/XMPSpecifications/
"""

from __future__ import annotations

import re

_STALE = (
    *("tiff:ImageWidth", "tiff:ImageLength", "exif:PixelXDimension", "exif:PixelYDimension"),  # sizes
    *("tiff:XResolution", "tiff:YResolution", "tiff:ResolutionUnit"),  # stand in the file's own fields
    *("xmpNote:HasExtendedXMP", "GImage:Mime", "GImage:Data"),  # point to parts that are not copied
    *("GCamera:MicroVideo", "GCamera:MicroVideoOffset", "GCamera:MotionPhoto", "hdrgm:Version"),  # a film, a gain map
)
_PROPERTY = "|".join(map(re.escape, _STALE)).encode()
_ATTRIBUTE = re.compile(rb"\s(?:" + _PROPERTY + rb")\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_ELEMENT = re.compile(rb"<(" + _PROPERTY + rb")\s*>[^<]*</\1\s*>")
_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|\s*>\s*))[0-9]+")


def kept_xmp(packet: bytes | str | None) -> bytes | None:
    """Return a packet with the orientation "upright" and without stale sizes and pointers; none if there is none.

    Args:
        packet: In UTF-8, as all formats but some TIFFs demand; in another encoding it stays as it is.
    """
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "surrogateescape")
    packet = packet.strip(b"\0") if packet else None
    if not packet:
        return None
    packet = _ORIENTATION.sub(rb"\g<1>1", packet)
    return _ELEMENT.sub(b"", _ATTRIBUTE.sub(b"", packet))
