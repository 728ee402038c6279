"""Draws small ICC profiles, so that tests know what colours mean. Layout: ICC.1:2022, sections 7 to 10."""

import itertools
import struct

Triple = tuple[float, float, float]

# Linear light of full red, green and blue in CIE XYZ, adapted to D50 as profiles want it.
SRGB: tuple[Triple, Triple, Triple] = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
P3: tuple[Triple, Triple, Triple] = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))

RED_IN_P3 = (234, 51, 35)  # what Display P3 calls the colour that is (255, 0, 0) in sRGB: CSS Color 4, rounded


def rgb_profile(colorants: tuple[Triple, Triple, Triple]) -> bytes:
    """A display with these colours and the sRGB curve, as Display P3 has it."""
    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {f"{name}XYZ": _xyz(*light) for name, light in zip("rgb", colorants, strict=True)}
    return _profile("RGB ", "XYZ ", tags | {f"{name}TRC": curve for name in "rgb"})


def linear_grey_profile(black: float = 0.0) -> bytes:
    """Greys that count light, from that of black up, 0 to 1."""
    return _profile("GRAY", "XYZ ", {"kTRC": b"curv" + bytes(4) + struct.pack(">IHH", 2, round(black * 65535), 65535)})


def cmyk_profile() -> bytes:
    """A press whose cyan is the grey of L* = 50, and any other ink black."""
    nodes = b"".join(
        bytes([round(lightness * 2.55), 128, 128])
        for inks in itertools.product("-x", repeat=4)
        for lightness in [{"----": 100, "x---": 50}.get("".join(inks), 0)]
    )
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + ramp * 4 + nodes + ramp * 3
    return _profile("CMYK", "Lab ", {"A2B0": table})


def _profile(space: str, connection: str, tags: dict[str, bytes]) -> bytes:
    """Header, table of tags, tags; the white point is that of all profiles, D50."""
    white = _fixed(0.9642, 1.0, 0.8249)
    tags = {"wtpt": b"XYZ " + bytes(4) + white, **tags}
    start = 132 + 12 * len(tags)
    table, body = b"", b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name.encode(), start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    size = struct.pack(">I", start + len(body))
    kind = struct.pack(">I4s4s4s", 0x02400000, b"mntr", space.encode(), connection.encode())
    header = size + bytes(4) + kind + bytes(12) + b"acsp" + bytes(28) + white + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + body


def _xyz(*light: float) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*light)


def _fixed(*values: float) -> bytes:
    """Numbers as s15Fixed16."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
