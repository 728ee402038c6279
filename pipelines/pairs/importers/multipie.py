"""CMU Multi-PIE: person, session, camera and light are in the file's name.

``001_01_01_051_07.png`` is ID, session, recording, camera, light. Gross, Matthews, Cohn, Kanade, Baker:
Multi-PIE, Image and Vision Computing 28(5), 2010: 13 cameras at the height of the head, 15 degrees apart, two above
it (08_1 and 19_1), 18 flashes; the first and last photo of a recording (lights 00 and 19) are without flash.

The sign of each camera's yaw follows from the code of two groups, which agree:

- TP-GAN (github.com/HRLTY/TP-GAN): in a photo of camera 010 (``data-example/201_01_01_010_trans.5pt``) the eyes are at
  x = 56 and 68 and the nose at 85, so it points to the right of the image, as for a subject who turned to their left.
  ``net_input_everything_featparts.py`` calls 010, 200 and 240 +75, +60 and +90 degrees and cuts their noses from 32 px
  left of the tip to 8 px right of it; those of 120, 090 and 110, which it calls negative, the other way round.
- Idiap: facereclib (github.com/idiap/facereclib, ``config/database/multipie_P.py``) calls 24_0 the right profile, 20_0
  the right half-profile, 11_0 the left profile and 09_0 the left half-profile. bob.chapter.FRICE puts the eye of
  24_0, 01_0 and 20_0 on column 38 of 64, with room for the ear to its left, that of 11_0, 12_0 and 09_0 on column 25.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from pipelines.pairs.config import ImportConfig
from pipelines.pairs.importers.importer import Importer, Item, Listing, without_collisions
from toolkit.errors import ConfigError, PhotoRejected
from toolkit.records.ledger import Outcome, error_outcome

PATH_PATTERN = "ID_session_recording_camera_light, as 001_01_01_051_07.png"
FRONTAL_CAMERA = "051"

# Camera -> degrees of yaw; positive: the subject appears turned to their left.
YAWS = {
    "110": -90.0,
    "120": -75.0,
    "090": -60.0,
    "080": -45.0,
    "130": -30.0,
    "140": -15.0,
    "051": 0.0,
    "050": 15.0,
    "041": 30.0,
    "190": 45.0,
    "200": 60.0,
    "010": 75.0,
    "240": 90.0,
}
CAMERAS_ABOVE = ("081", "191")

# Cropped versions of the set append to the name: 001_01_01_051_07_crop_128.png, ..._07_cropped.png.
_NAME = re.compile(r"(?:.*/)?(\d{3})_(\d{2})_(\d{2})_(\d{3})_([01]\d)(?:_crop\w*)?\.\w+")


def list_multipie(source: Path, photos: Sequence[str], config: ImportConfig) -> Listing:
    """Read the names of a Multi-PIE tree.

    Args:
        source: not used.
        photos: relative paths, in any folders.
        config: defines the light of the targets.

    Returns:
        One subject per recording, its target from camera 051 in that light. Rejected: ``no-pose`` for other names
        and for the cameras above the head, ``no-target`` for recordings without that photo, ``collision``.

    Raises:
        ConfigError: no recording has a target.
    """
    light = config.light
    named: list[Item] = []
    refusals: list[Outcome] = []
    for photo in photos:
        try:
            named.append(_item(photo, light))
        except PhotoRejected as error:
            refusals.append(error_outcome(photo, error))
    items, collided = without_collisions(named)
    paired = {item.subject for item in items if item.role == "target"}
    if items and not paired:
        lights = sorted({f"{item.labels['light']:02}" for item in items if item.labels["camera"] == FRONTAL_CAMERA})
        raise ConfigError(
            f"--light {light}: no recording has a photo of camera {FRONTAL_CAMERA} in that light; "
            f"that camera's lights here: {', '.join(lights) or 'none'}"
        )
    missing = PhotoRejected(
        "no-target", f"this recording has no photo of camera {FRONTAL_CAMERA} with light {light:02}"
    )
    refusals += collided + [error_outcome(item.photo, missing) for item in items if item.subject not in paired]
    return Listing([item for item in items if item.subject in paired], refusals)


def _item(photo: str, light: int) -> Item:
    match = _NAME.fullmatch(photo)
    if match is None:
        raise PhotoRejected("no-pose", f"the name is not {PATH_PATTERN}")
    person, session, recording, camera, number = match.groups()
    if camera in CAMERAS_ABOVE:
        raise PhotoRejected("no-pose", f"camera {camera} is above the head; the set gives it no yaw")
    if camera not in YAWS:
        raise PhotoRejected("no-pose", f"camera {camera} is none of {', '.join(YAWS)}")
    return Item(
        photo,
        f"{person}_{session}_{recording}",
        f"{camera}_{number}",
        "target" if (camera, int(number)) == (FRONTAL_CAMERA, light) else "input",
        {"person": person, "session": session, "camera": camera, "light": int(number), "yaw": YAWS[camera]},
    )


IMPORTER = Importer(PATH_PATTERN, list_multipie)
