"""Fit the face shape model of `toolkit/faces/face_shapes.npz` to frontal photos.

    python examples/learn/face_shapes.py PHOTOS [PHOTOS ...] OUT.npz

The meshes of near-frontal faces are transformed to head coordinates and made symmetric. The model is their mean and
their first thirty principal components, each as long as one standard deviation. The built-in file was fitted to the
portraits and the London faces; it contains no pixels of any photo.
"""

import sys
from pathlib import Path

import numpy as np

from toolkit.errors import PhotoError
from toolkit.faces.shape_model import head_coordinates
from toolkit.geometry.head_pose import head_pose
from toolkit.geometry.mesh_topology import MIRROR, SKIN
from toolkit.landmarks.finder import open_landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.files import list_photos

MODES, NEAR_FRONTAL = 30, 10.0


def main(folders: list[Path], out: Path) -> None:
    """Find the meshes of all photos, fit the model, write it."""
    landmarker, shapes = open_landmarker(), []
    for folder in folders:
        for name in list_photos(folder)[0]:
            try:
                faces = landmarker.find(read_photo(folder / name))
            except PhotoError:
                continue
            if faces and abs(head_pose(faces[0].landmarks).yaw) <= NEAR_FRONTAL:
                shapes.append(head_coordinates(faces[0].landmarks)[0][:SKIN])
    meshes = np.array(shapes)
    meshes = (meshes + meshes[:, MIRROR[:SKIN]] * [-1, 1, 1]) / 2
    mean = meshes.mean(axis=0)
    _, spread, modes = np.linalg.svd((meshes - mean).reshape(len(meshes), -1), full_matrices=False)
    spread /= np.sqrt(len(meshes))
    kept = (modes[:MODES] * spread[:MODES, None]).reshape(-1, SKIN, 3)
    np.savez_compressed(out, mean=mean.astype(np.float32), modes=kept.astype(np.float16))
    share = (spread[:MODES] ** 2).sum() / (spread**2).sum()
    print(f"{out}: {len(meshes)} faces, {len(kept)} modes hold {share:.1%} of their variance")


if __name__ == "__main__":
    main([Path(word) for word in sys.argv[1:-1]], Path(sys.argv[-1]))
