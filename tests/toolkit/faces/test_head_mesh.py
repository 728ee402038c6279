import numpy as np

from toolkit.faces.head_mesh import build_head, face_oval, head_mirror, head_triangles, normals
from toolkit.faces.shape_model import load_face_shapes
from toolkit.geometry.mesh_topology import SKIN


def test_the_head_is_closed_wound_and_symmetric() -> None:
    mean, _ = load_face_shapes()
    vertices, triangles, mirror = build_head(mean).vertices, head_triangles(), head_mirror()
    assert len(vertices) == triangles.max() + 1 == len(mirror)
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(mirror)))
    np.testing.assert_allclose(vertices[mirror] * [-1, 1, 1], vertices, atol=1e-6)
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    _, owners = np.unique(edges, axis=0, return_counts=True)
    assert set(owners) == {1, 2}
    assert (owners == 1).sum() == len(face_oval())  # open at the back of the head only
    outward = normals(vertices, triangles)
    assert outward[1, 2] < -0.9  # the nose tip faces the camera
    assert (outward[:SKIN, 2] < 0).mean() > 0.97
    assert vertices[:, 2].max() > 1.4  # a skull is deeper than a face
