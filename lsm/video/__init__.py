"""Videos, extra `video`: frame after frame through the `Upscaler`; everything else about a video is kept as it is.

The modules beside this one import PyAV, so they are themselves imported only after `require_av`.
"""

from __future__ import annotations

import os

from lsm.errors import OptionError, needs_extra

OLDEST = 18
"""Major version of PyAV: the first that takes swscale's flags for exact conversion."""


def require_av() -> None:
    """Find PyAV, and silence FFmpeg's own log: what matters of it comes as exceptions.

    Raises:
        OptionError: If it is not installed, or too old.
    """
    with needs_extra("video", "Videos need PyAV and Python 3.11 or newer"):
        import av.logging
    if int(av.__version__.split(".")[0]) < OLDEST:
        raise OptionError(f"Videos need PyAV {OLDEST} or newer, not {av.__version__}: pip install -U av.")
    av.logging.set_level(None)
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints its settings for each segment otherwise
