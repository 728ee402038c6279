"""Frontal faces back into their photos: what worker processes cut for it, and how a photo is put together again."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.photo_jobs.job import CUT_ERRORS, CutPhoto, Cutter, Faces, cut_parts, unprocessable
from pipelines.photo_jobs.landmarkers import open_view_landmarker
from pipelines.runtime.plan import Job
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import PhotoFailed, PhotoRejected
from toolkit.photos.decode import Photo, read_bytes
from toolkit.views.paste import Patch, cut_patch, paste

Image = NDArray[np.uint8]
SIZE = 256  # pixels: the side of the views where none is asked for; fine detail comes from the photo
VERSION = 2  # raised when the same photo would be pasted differently: finished ones are then done again


class PatchCutter:
    """Turns every face of a photo to the front that is not turned too far; loads the landmark models.

    Args:
        size: of the views, pixels.
        max_turn: degrees from the camera, beyond which a face is left alone.
    """

    def __init__(self, size: int, max_turn: float) -> None:
        self._config, self._max_turn = AlignConfig(size=size, faces="all"), max_turn
        self._landmarker, self._steady = open_view_landmarker()

    def __call__(self, photo: Photo) -> tuple[list[Patch], Faces]:
        """The patches, and a row for every face, with ``turn`` in degrees and whether it is ``pasted``.

        Raises:
            PhotoRejected: ``turned``, no face is turned little enough; or as :func:`align_photo` says.
        """
        crops = align_photo(photo, self._landmarker, self._config)
        least = min(crop.pose.turn for crop in crops)
        if least > self._max_turn:
            faces = "its face is" if len(crops) == 1 else f"the most frontal of {len(crops)} faces is"
            raise PhotoRejected(
                "turned",
                f"{faces} turned by {least:.1f} degrees, above --max-turn {self._max_turn:g}; "
                "raise that (45 at most), or leave out --paste-back",
            )
        pixels, _ = photo.pixels()
        patches, rows = [], []
        for crop in crops:
            pasted = crop.pose.turn <= self._max_turn
            rows.append(crop.ledger_row() | {"turn": round(crop.pose.turn, 1), "pasted": pasted})
            if pasted:
                patches.append(cut_patch(pixels, self._steady(pixels, crop.face), self._config.size))
        return patches, rows


def open_paste_cutter(size: int, max_turn: float) -> Cutter:
    """A cutter that gives the whole photo, the geometric views of its faces pasted."""
    cut = PatchCutter(size, max_turn)

    def cutter(photo: Photo) -> tuple[list[Image], Faces]:
        patches, rows = cut(photo)
        return [paste(photo.pixels()[0], patches)], rows

    return cutter


def open_patch_cut(source: Path, size: int, max_turn: float) -> Callable[[Job], CutPhoto]:
    """For :func:`pipelines.runtime.worker_pool.run_in_workers`: a result has ``patches`` for a network to refine."""
    return partial(_cut_patches, source, PatchCutter(size, max_turn))


def _cut_patches(source: Path, cut: PatchCutter, job: Job) -> CutPhoto:
    photo, patches = cut_parts(source, job, cut)
    photo.patches = patches
    return photo


def refined_photo(source: Path, photo: CutPhoto, faces: Sequence[Image]) -> Image:
    """The whole photo, read again (thousands are under way, too many to keep), its refined faces pasted.

    Args:
        source: the folder of the photos.
        photo: from :func:`open_patch_cut`.
        faces: one for each of its patches, as large as their squares, RGB.

    Raises:
        PhotoFailed: ``changed``, another run is needed; or the file cannot be read any more.
    """
    data = read_bytes(source / photo.job.input)
    if hashlib.sha256(data).hexdigest() != photo.file["sha256"]:
        raise PhotoFailed("changed", "the file changed while it was worked on; run the same command again")
    patches = [patch.with_square(face) for patch, face in zip(photo.patches, faces, strict=True)]
    try:
        return paste(Photo(data).pixels()[0], patches)
    except CUT_ERRORS as error:
        raise unprocessable(error) from error
