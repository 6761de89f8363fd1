"""Videos, extra `video`: frame after frame through the `Upscaler`; everything else about a video is kept as it is.

The modules beside this one import PyAV, so they are themselves imported only after `require_av`.
"""

from __future__ import annotations

from lsm.errors import OptionError


def require_av() -> None:
    """Find PyAV, and silence FFmpeg's own log: what matters of it comes as exceptions.

    Raises:
        OptionError: If it is not installed.
    """
    try:
        import av.logging
    except ImportError as error:
        raise OptionError("Videos need PyAV: pip install 'lsm-sr[video]'.") from error
    av.logging.set_level(None)
