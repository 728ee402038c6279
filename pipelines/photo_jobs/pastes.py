"""Photo functions for pasting frontal faces back into their photos."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.photo_jobs.job import PROCESSING_ERRORS, PhotoOutput, PhotoResult, unprocessable
from pipelines.photo_jobs.views import ViewLandmarker
from pipelines.runtime.plan import Job
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import PhotoFailed, PhotoRejected
from toolkit.photos.decode import Photo, read_bytes
from toolkit.photos.types import Image
from toolkit.views.paste import PasteableView, paste, prepare_paste

PASTE_VERSION = 3  # raised when the same photo is pasted differently: finished photos are then done again


@dataclass(slots=True)
class PasteOutput(PhotoOutput):
    """No images, but a frontal view of each face, for a network to refine."""

    views: list[PasteableView] = field(default_factory=list)


class PasteableViews:
    """Turn every face of a photo to the front that is not turned too far. Loads the landmark models.

    Args:
        size: side of the views, pixels.
        max_turn: degrees from the camera, beyond which a face is left alone.
    """

    def __init__(self, size: int, max_turn: float) -> None:
        self._config, self._max_turn = AlignConfig(size=size, faces="all"), max_turn
        self._landmarker = ViewLandmarker()

    def __call__(self, photo: Photo, job: Job) -> PasteOutput:
        """A view of each frontal face, and a row for every face, with ``turn`` in degrees and whether it is ``pasted``.

        Raises:
            PhotoRejected: ``turned``, no face is frontal enough; or as :func:`align_photo` says.
        """
        crops = align_photo(photo, self._landmarker.landmarker, self._config)
        least = min(crop.pose.turn for crop in crops)
        if least > self._max_turn:
            faces = "its face is" if len(crops) == 1 else f"the most frontal of {len(crops)} faces is"
            raise PhotoRejected(
                "turned",
                f"{faces} turned by {least:.1f} degrees, above --max-turn {self._max_turn:g}; "
                "raise that (45 at most), or leave out --paste-back",
            )
        pixels, _ = photo.pixels()
        views, rows = [], []
        for crop in crops:
            pasted = crop.pose.turn <= self._max_turn
            rows.append(crop.ledger_row() | {"turn": round(crop.pose.turn, 1), "pasted": pasted})
            if pasted:
                views.append(prepare_paste(pixels, self._landmarker.refined(pixels, crop.face), self._config.size))
        return PasteOutput([], rows, views=views)


class PastedPhotos:
    """Give the whole photo with the geometric views of its faces pasted; arguments as for :class:`PasteableViews`."""

    def __init__(self, size: int, max_turn: float) -> None:
        self._make_views = PasteableViews(size, max_turn)

    def __call__(self, photo: Photo, job: Job) -> PhotoOutput:
        """One image, and a row for every face."""
        output = self._make_views(photo, job)
        return PhotoOutput([paste(photo.pixels()[0], output.views)], output.faces)


def paste_refined(source: Path, result: PhotoResult[PasteOutput], faces: Sequence[Image | None]) -> Image:
    """Put the refined faces of a photo back into it.

    The photo is read again: thousands are in progress, too many to keep their pixels.

    Args:
        source: the folder of the photos.
        result: of :class:`PasteableViews`.
        faces: one for each of its views, as large as its network inputs, RGB; None: that face stays as it is.

    Raises:
        PhotoFailed: ``changed``, the file is another one now; or it cannot be read any more.
    """
    data = read_bytes(source / result.job.input)
    if hashlib.sha256(data).hexdigest() != result.file["sha256"]:
        raise PhotoFailed("changed", "the file changed while it was worked on; run the same command again")
    views = result.required_output().views
    refined = [view.with_refined(face) for view, face in zip(views, faces, strict=True) if face is not None]
    try:
        return paste(Photo(data).pixels()[0], refined)
    except PROCESSING_ERRORS as error:
        raise unprocessable(error) from error
