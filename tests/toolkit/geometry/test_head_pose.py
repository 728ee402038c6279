import pytest

from toolkit.geometry.head_pose import Pose


def test_turn_is_the_angle_to_the_camera_whatever_the_roll() -> None:
    assert Pose(0, 0, 50).turn == pytest.approx(0, abs=1e-6)
    assert Pose(-30, 0, 0).turn == pytest.approx(30)
    assert Pose(0, 20, 90).turn == pytest.approx(20)
    assert Pose(20, 20, 0).turn == pytest.approx(27.99, abs=0.01)
