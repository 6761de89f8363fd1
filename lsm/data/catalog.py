"""Where the field's sets come from: addresses of their owners, licences, sizes and hashes.

Owners publish no hashes. Those here are the ones that independent users recorded of the owners' files: MD5 by torchsr
(github.com/Coloquinte/torchSR), sizes and SHA-256 by TensorFlow Datasets and others, agreeing where both have one.
"""

from __future__ import annotations

from dataclasses import dataclass

from lsm.data.datasets import canonical_name
from lsm.errors import OptionError, unknown_name


@dataclass(frozen=True)
class Archive:
    """A file to download.

    Attributes:
        url: Its owner's address.
        moves: Beginnings of its members' names, each with what takes its place under the root of all sets: owners
            pack sets in many ways, `options` and docs name one.
        size: Bytes, if known.
        sha256: In hexadecimal, if known.
        md5: In hexadecimal, if known.
    """

    url: str
    moves: tuple[tuple[str, str], ...] = ()
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None

    @property
    def name(self) -> str:
        """The file's name: the end of its address."""
        return self.url.rsplit("/", 1)[-1]

    def place(self, member: str) -> str:
        """Return where a member goes, relative to the root of all sets."""
        for beginning, instead in self.moves:
            if member.startswith(beginning):
                return instead + member.removeprefix(beginning)
        return member


@dataclass(frozen=True)
class Entry:
    """A set.

    Attributes:
        name: Its usual name.
        about: What it is.
        licence: On what terms its owners give it.
        folder: Where it lies, relative to the root of all sets.
        archives: Files that hold it.
        members: Beginnings of the members' names that belong to it; all members if empty.
        parts: Names of the sets that make it up; it is then a folder of their files together.
        how_to_get: What to do where it cannot be downloaded.
    """

    name: str
    about: str
    licence: str
    folder: str
    archives: tuple[Archive, ...] = ()
    members: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    how_to_get: str = ""


_DIV2K = "http://data.vision.ee.ethz.ch/cvl/DIV2K/"
_EDSR = "https://cv.snu.ac.kr/research/EDSR/"

_BENCHMARK = Archive(
    f"{_EDSR}benchmark.tar",
    (("benchmark/", "SR/"),),
    size=250_112_000,
    sha256="80c21c333bbf6ceb5308b7243761f8284478274413a97b96f1d63e9045fd93e8",
    md5="4ace41d33c2384b97e6b320cd0afd6ba",
)


_DIV2K_MOVES = (
    ("DIV2K_train_", "DIV2K/"),
    ("DIV2K_valid_", "DIV2K_valid/"),
)


def _div2k(name: str, md5: str, size: int | None = None, sha256: str | None = None) -> Archive:
    return Archive(f"{_DIV2K}DIV2K_{name}.zip", _DIV2K_MOVES, size, sha256, md5)


_DIV2K_LICENCE = (
    "For academic research only; the images were collected from the Internet and belong to their owners "
    "(data.vision.ee.ethz.ch/cvl/DIV2K)."
)

CATALOG = (
    Entry(
        "DIV2K",
        "800 images to train on at 2K (Agustsson and Timofte, CVPRW 2017): HR, and MATLAB's bicubic LR at ×2, ×3, ×4.",
        _DIV2K_LICENCE,
        "DIV2K",
        (
            _div2k(
                "train_HR",
                "bdc2d9338d4e574fe81bf7d158758658",
                3_530_603_713,
                "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
            ),
            _div2k(
                "train_LR_bicubic_X2",
                "9a637d2ef4db0d0a81182be37fb00692",
                925_390_592,
                "a53a424317575838dadce4bcd97cf7b744d6855f43740ed5f0245af3cf4bd850",
            ),
            _div2k("train_LR_bicubic_X3", "ad80b9fe40c049a07a8a6c51bfab3b6d"),
            _div2k("train_LR_bicubic_X4", "76c43ec4155851901ebbe8339846d93d"),
        ),
    ),
    Entry(
        "DIV2K_valid",
        "The 100 images of DIV2K to validate on: HR, and MATLAB's bicubic LR at ×2, ×3, ×4.",
        _DIV2K_LICENCE,
        "DIV2K_valid",
        (
            _div2k(
                "valid_HR",
                "9fcdda83005c5e5997799b69f955ff88",
                448_993_893,
                "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
            ),
            _div2k(
                "valid_LR_bicubic_X2",
                "1512c9a3f7bde2a1a21a73044e46b9cb",
                117_763_600,
                "60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57",
            ),
            _div2k("valid_LR_bicubic_X3", "18b1d310f9f88c13618c287927b29898"),
            _div2k("valid_LR_bicubic_X4", "21962de700c8d368c6ff83314480eff0"),
        ),
    ),
    Entry(
        "Flickr2K",
        "2650 images at 2K, with bicubic LR at ×2, ×3 and ×4 (Lim et al., EDSR, CVPRW 2017).",
        "No licence is stated; the images come from Flickr under their authors' terms. Custom: research.",
        "Flickr2K",
        (
            Archive(
                f"{_EDSR}Flickr2K.tar",
                (("Flickr2K/Flickr2K_", "Flickr2K/"),),
                md5="5d3f39443d5e9489bff8963f8f26cb03",
            ),
        ),
        ("Flickr2K/Flickr2K_HR/", "Flickr2K/Flickr2K_LR_bicubic/"),
    ),
    Entry(
        "DF2K",
        "DIV2K and Flickr2K in one folder, 3450 images: what the larger networks are trained on.",
        "Those of DIV2K and of Flickr2K.",
        "DF2K",
        parts=("DIV2K", "Flickr2K"),
    ),
    Entry(
        "Set5",
        "5 test images (Bevilacqua et al., BMVC 2012), as the authors of EDSR pack them, with MATLAB's LR.",
        "No licence is stated. Custom: research.",
        "SR/Set5",
        (_BENCHMARK,),
        ("benchmark/Set5/",),
    ),
    Entry(
        "Set14",
        "14 test images (Zeyde et al., 2010), as the authors of EDSR pack them, with MATLAB's LR.",
        "No licence is stated. Custom: research.",
        "SR/Set14",
        (_BENCHMARK,),
        ("benchmark/Set14/",),
    ),
    Entry(
        "B100",
        "The 100 test images of the Berkeley Segmentation Dataset (Martin et al., ICCV 2001), with MATLAB's LR.",
        "Non-commercial research and education (Berkeley Segmentation Dataset).",
        "SR/B100",
        (_BENCHMARK,),
        ("benchmark/B100/",),
    ),
    Entry(
        "Urban100",
        "100 images of buildings (Huang et al., CVPR 2015), with MATLAB's LR.",
        "The images come from Flickr under Creative Commons licences of their authors. Custom: research.",
        "SR/Urban100",
        (_BENCHMARK,),
        ("benchmark/Urban100/",),
    ),
    Entry(
        "Manga109",
        "109 pages of Japanese comics, one of each volume (Matsui et al., 2017).",
        "By permission of its owners only; academic use, no redistribution. Manga109-s, 87 volumes, for companies too.",
        "SR/Manga109",
        how_to_get="Apply at http://www.manga109.org/en/download.html (the University of Tokyo answers within days); "
        "then `lsm data prepare FOLDER datasets/SR/Manga109` puts the 109 images, and their LR, in their place.",
    ),
)


def find_entry(name: str) -> Entry:
    """Find a set by its name in any common spelling.

    Raises:
        OptionError: If it is unknown.
    """
    wanted = canonical_name(name).lower().replace("-", "_")
    for entry in CATALOG:
        if entry.name.lower() == wanted:
            return entry
    raise OptionError(unknown_name("set", name, [entry.name for entry in CATALOG]))
