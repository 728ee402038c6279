import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.icc import P3, RED_IN_P3, SRGB, cmyk_profile, linear_grey_profile, rgb_profile
from toolkit.photos.color import srgb_transform, to_srgb


@pytest.mark.parametrize(
    ("mode", "colour", "profile", "expected"),
    [
        ("RGB", RED_IN_P3, rgb_profile(P3), (255, 0, 0)),
        ("RGB", (200, 100, 50), rgb_profile((SRGB[1], SRGB[0], SRGB[2])), (100, 200, 50)),
        ("L", 128, linear_grey_profile(), (188, 188, 188)),
        ("L", 0, linear_grey_profile(0.02), (0, 0, 0)),
        ("CMYK", (255, 0, 0, 0), cmyk_profile(), (119, 119, 119)),
        ("CMYK", (255, 0, 0, 0), None, (0, 255, 255)),
        ("RGB", RED_IN_P3, None, RED_IN_P3),
        ("LAB", (255, 128, 128), None, (255, 255, 255)),
    ],
    ids=["display p3", "red and green swapped", "linear grey", "pale black", "cmyk", "plain cmyk", "plain rgb", "lab"],
)
def test_colours_become_what_their_profile_says(
    mode: str, colour: int | tuple[int, ...], profile: bytes | None, expected: tuple[int, int, int]
) -> None:
    seen = to_srgb(Image.new(mode, (3, 2), colour), profile)
    assert (seen.mode, seen.size) == ("RGB", (3, 2))
    np.testing.assert_allclose(np.asarray(seen)[1, 2], expected, atol=2)


def test_a_palette_takes_the_profile_of_its_colours() -> None:
    image = Image.new("RGB", (4, 4), RED_IN_P3).convert("P", palette=Image.Palette.ADAPTIVE)
    np.testing.assert_allclose(np.asarray(to_srgb(image, rgb_profile(P3)))[1, 1], (255, 0, 0), atol=2)


def test_profiles_that_say_srgb_are_left_alone_whatever_their_name() -> None:
    pillows = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, green, blue = ((1.006 * x, 1.006 * y, 1.006 * z) for x, y, z in SRGB)  # one level off at the most
    for profile in (pillows, rgb_profile(SRGB), rgb_profile((red, green, blue))):
        assert srgb_transform(profile, "RGB") is None
    assert srgb_transform(rgb_profile(P3), "RGB") is not None


def test_a_profile_named_srgb_that_is_not_is_followed() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert srgb_transform(profile.replace(b"rXYZ", b"____").replace(b"gXYZ", b"rXYZ").replace(b"____", b"gXYZ"), "RGB")


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        b"no profile",
        rgb_profile(P3)[:300],
        rgb_profile(P3)[:128] + bytes(len(rgb_profile(P3)) - 128),
        linear_grey_profile(),
        cmyk_profile(),
        rgb_profile(((0.0, 0.0, 0.0),) * 3),
        rgb_profile(((9.642, 10.0, 8.249),) * 3),
    ],
    ids=["empty", "text", "cut", "zeros", "grey", "cmyk", "all black", "all white"],
)
def test_a_profile_that_is_damaged_or_for_other_images_changes_nothing(profile: bytes) -> None:
    assert srgb_transform(profile, "RGB") is None
    assert to_srgb(Image.new("RGB", (1, 1), RED_IN_P3), profile).getpixel((0, 0)) == RED_IN_P3


def test_a_transform_is_built_once() -> None:
    first, second = (srgb_transform(bytes(bytearray(rgb_profile(P3))), "RGB") for _ in range(2))
    assert first is second
