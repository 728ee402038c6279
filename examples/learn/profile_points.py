"""Train the landmark network for profile faces, `toolkit/networks/weights/profile_points.onnx`.

    python examples/learn/profile_points.py PHOTOS OUT.onnx [STEPS]

Training images are heads of near-frontal photos, rotated by 15 to 97 degrees, so that every landmark is known; with
other backgrounds and lighting, hair, caps and sunglasses drawn over them, degraded as photos are. Needs the extra onnx.
"""

import math
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate
from torch.utils.data import DataLoader, IterableDataset

from pipelines.export.onnx_graph import remove_metadata, store_in_half
from toolkit.errors import PhotoError
from toolkit.faces.depth_jitter import draw_depth_offsets
from toolkit.faces.face import flip_landmarks, rescale_face
from toolkit.geometry.head_pose import head_pose
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.profiles.network import BROW, CHIN_ROW, EYE, INPUT_SIDE, MARGIN, NOSE_ROOT_ROW, POINTS, STRIDE
from toolkit.photos.decode import read_photo
from toolkit.photos.degrade import degrade
from toolkit.photos.files import list_photos
from toolkit.photos.types import Image
from toolkit.views.rotate import RotatableHead

Array = NDArray[np.float64]
Random = np.random.Generator
Views = tuple[Image, Array]  # (N, VIEW, VIEW, 4) RGB and the head's mask; (N, 39, 2) points, pixels

VIEW, FACE = 160, 85  # pixels: side of a stored view, 2.4 faces wide; size of the face in the photo it is drawn from
PER_PHOTO, NEAR_FRONTAL = 12, 14.0  # views per photo; largest yaw of a photo, degrees
YAWS, PITCH = (15.0, 97.0), 12.0  # degrees: range; standard deviation
BATCH, LEARNING_RATE, STEPS, LOG_EVERY = 32, 2e-3, 10000, 500
FLIP, HEATMAP_SIGMA = 0.3, 4.0  # probability; pixels, standard deviation of the target heatmaps


def draw_views(folder: Path, names: list[str], seed: int) -> Views:
    """Rotate every near-frontal head of some photos, and of the flipped photos, to the subject's left."""
    cv2.setNumThreads(1)
    landmarker, random = open_landmarker(), np.random.default_rng(seed)
    pictures, points = [], []
    for name in names:
        try:
            photo = read_photo(folder / name)
        except PhotoError:
            continue
        face = max(landmarker.find(photo), key=lambda one: one.size, default=None)
        if face is None or abs(head_pose(face.landmarks).yaw) > NEAR_FRONTAL:
            continue
        if (scale := FACE / face.size) < 1:
            photo = np.asarray(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
            face = rescale_face(face, scale)
        other_face = replace(face, landmarks=flip_landmarks(face.landmarks, photo.shape[1]))
        both = [(photo, face), (np.ascontiguousarray(photo[:, ::-1]), other_face)]
        heads = [RotatableHead(*one, depths) for one in both for depths in (None, draw_depth_offsets(random))]
        for number in range(PER_PHOTO):
            lamp = (random.uniform(-90, 90), random.uniform(0.2, 0.9)) if random.random() < 0.5 else None
            view = heads[number % 4].view(random.uniform(*YAWS), random.normal(0, PITCH), lamp)
            low, high = view.landmarks[:, :2].min(axis=0), view.landmarks[:, :2].max(axis=0)
            zoom = VIEW / (2.4 * face.size)
            matrix = np.column_stack([np.diag([zoom, zoom]), VIEW / 2 - zoom * (low + high) / 2])
            layers = np.dstack([view.image, (view.head * 255).astype(np.uint8)])
            pictures.append(cv2.warpAffine(layers, matrix, (VIEW, VIEW), borderMode=cv2.BORDER_REPLICATE))
            points.append(view.landmarks[POINTS, :2] * zoom + matrix[:, 2])
    return np.array(pictures, np.uint8), np.array(points)


class AugmentedViews(IterableDataset[tuple[Image, Array, bool]]):
    """An endless stream of augmented views: RGB (112, 112, 3), points (39, 2), and whether the view is flipped."""

    def __init__(self, views: Views) -> None:
        self._pictures, self._points = views
        self._y, self._x = np.mgrid[:VIEW, :VIEW].astype(np.float32)

    def __iter__(self) -> Iterator[tuple[Image, Array, bool]]:
        random = np.random.default_rng(0)
        while True:
            number = int(random.integers(len(self._pictures)))
            picture, points = self._pictures[number], self._points[number]
            image, head = picture[..., :3], picture[..., 3:] / 255.0
            if random.random() < 0.6:
                image = (image * head + self._texture(random) * (1 - head)).astype(np.uint8)
            yield _crop_and_degrade(self._occlude(image, points, random), points, random)

    def _occlude(self, image: Image, points: Array, random: Random) -> Image:
        """Draw caps and fringes, hair over the cheek, sunglasses, and objects in front of the face."""
        x, y, size = self._x, self._y, float(np.linalg.norm(points[CHIN_ROW] - points[NOSE_ROOT_ROW]))
        brow, eye = (points[np.isin(POINTS, numbers)].mean(axis=0) for numbers in (BROW, EYE))
        covers = []
        if random.random() < 0.3:
            waves = 3 * np.sin(x / random.uniform(3, 20) + random.uniform(0, 6)) * random.random()
            edge = brow[1] - y - random.uniform(-0.1, 0.5) * size + (brow[0] - x) * random.normal(0, 0.3) + waves
            covers.append((edge + 0.5).clip(0, 1) * (brow[0] + random.uniform(0.1, 1.2) * size - x).clip(0, 1))
        if random.random() < 0.4:
            lean, bend = random.normal(0, 0.4), random.random() / (random.uniform(-16, 16) * size + 1e-3)
            edge = eye[0] - x - random.uniform(0, 0.9) * size + (eye[1] - y) * lean + (eye[1] - y) ** 2 * bend
            covers.append((edge + 0.5).clip(0, 1))
        if random.random() < 0.2:
            covers.append(_ellipse(points[random.integers(len(points))], size * random.uniform(0.05, 0.35, 2), random))
        for cover in covers:
            over = self._hair(random) if random.random() < 0.6 else self._texture(random)
            image = (image * (1 - cover[..., None]) + over * cover[..., None]).astype(np.uint8)
        if random.random() < 0.12:
            temple = (np.abs(y - eye[1]) < random.uniform(0.5, 2)) & (x < eye[0])
            glass = np.maximum(_ellipse(eye, size * random.uniform(0.12, 0.22, 2), random), temple)
            glass *= random.uniform(0.5, 1)
            image = (image * (1 - glass[..., None]) + random.uniform(0, 60) * glass[..., None]).astype(np.uint8)
        return image

    def _texture(self, random: Random) -> Image:
        """Return a part of another view, at any scale, rotation and brightness; or one color."""
        if random.random() < 0.35:
            return np.broadcast_to(random.integers(0, 256, 3 if random.random() < 0.5 else 1), (VIEW, VIEW, 3))
        matrix = cv2.getRotationMatrix2D((VIEW / 2, VIEW / 2), random.uniform(0, 360), random.uniform(0.8, 3))
        matrix[:, 2] = matrix[:, 2] + random.uniform(-VIEW / 2, VIEW / 2, 2)
        picture = self._pictures[random.integers(len(self._pictures)), ..., :3]
        warped = cv2.warpAffine(picture, matrix, (VIEW, VIEW), borderMode=cv2.BORDER_REFLECT)
        blurred = cv2.GaussianBlur(warped, (0, 0), float(random.choice([1e-3, random.uniform(0.5, 8)])))
        return np.asarray(np.clip(blurred * random.uniform(0.3, 1.3) + random.uniform(-30, 50), 0, 255), np.uint8)

    def _hair(self, random: Random) -> Array:
        tint = np.array([1, random.uniform(0.7, 1), random.uniform(0.4, 1)])
        noise = random.normal(0, 1, (random.integers(20, 80), random.integers(6, 30))).astype(np.float32)
        large = cv2.resize(noise, (VIEW, VIEW), interpolation=cv2.INTER_CUBIC)
        matrix = cv2.getRotationMatrix2D((VIEW / 2, VIEW / 2), random.uniform(0, 180), 1.5)
        strands = cv2.warpAffine(large, matrix, (VIEW, VIEW), borderMode=cv2.BORDER_REFLECT)
        color = random.choice([15, 30, 50, 90, 140, 190]) * tint
        return np.asarray(np.clip(color + strands[..., None] * random.uniform(3, 25), 0, 255), np.float64)


def _ellipse(center: Array, axes: Array, random: Random) -> Array:
    cover = np.zeros((VIEW, VIEW), np.uint8)
    center_xy, half_axes = np.round(center).astype(int).tolist(), np.round(axes + 1).astype(int).tolist()
    cv2.ellipse(cover, center_xy, half_axes, random.uniform(0, 180), 0, 360, (255,), -1)
    return cover / 255.0


def _crop_and_degrade(image: Image, points: Array, random: Random) -> tuple[Image, Array, bool]:
    """Crop at a random place, scale and rotation, change the lighting, degrade and maybe flip."""
    low, high = points.min(axis=0), points.max(axis=0)
    loose = 2.0 if random.random() < 0.5 else 1.0
    zoom = INPUT_SIDE / (float(max(high - low)) * MARGIN) * math.exp(random.normal(0, 0.09 * loose))
    matrix = cv2.getRotationMatrix2D(((low + high) / 2).tolist(), random.normal(0, 9 * loose), zoom)
    shift = (INPUT_SIDE - 1) / 2 - (low + high) / 2 + random.normal(0, 0.05 * loose, 2) * INPUT_SIDE
    matrix[:, 2] = matrix[:, 2] + shift
    border = cv2.BORDER_CONSTANT if random.random() < 0.3 else cv2.BORDER_REPLICATE
    wall = random.integers(0, 256, 3).tolist()
    warped = cv2.warpAffine(image, matrix, (INPUT_SIDE,) * 2, borderMode=border, borderValue=wall)
    levels = warped.astype(np.float64) * math.exp(random.normal(0, 0.25)) * np.exp(
        random.normal(0, 0.12, 3)
    ) + random.normal(0, 15)
    if random.random() < 0.3:
        levels = (levels - levels.mean()) * math.exp(random.normal(0, 0.4)) + levels.mean()
    if random.random() < 0.2:
        slope = np.linspace(-0.5, 0.5, INPUT_SIDE)
        levels = levels * np.exp(slope * random.normal() + slope[:, None] * random.normal())[..., None]
    if random.random() < 0.2:
        levels = np.repeat(levels.mean(axis=2, keepdims=True), 3, axis=2)
    degraded = degrade(np.clip(levels, 0, 255).astype(np.uint8), random)
    points = points @ matrix[:, :2].T + matrix[:, 2]
    if random.random() < FLIP:
        return np.ascontiguousarray(degraded[:, ::-1]), points, True
    return degraded, points, False


def _conv(inward: int, outward: int, stride: int = 1, side: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(inward, outward, side, stride, side // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outward), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """Two convolutions with a skip connection (He et al., CVPR 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.change = nn.Sequential(_conv(width, width), last, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return torch.relu(x + self.change(x))


class Network(nn.Module):
    """An hourglass network (Newell, Yang and Deng, ECCV 2016): 112 x 112 images to 38 heatmaps and the visible side."""

    WIDTHS = (24, 32, 48, 80, 112)

    def __init__(self) -> None:
        super().__init__()
        stem, *widths = self.WIDTHS
        self.stem = _conv(3, stem, 2)
        steps = zip(self.WIDTHS, widths, strict=False)
        self.down = nn.ModuleList(nn.Sequential(_conv(a, b, 2), Residual(b)) for a, b in steps)
        backwards = list(zip(widths[::-1], widths[-2::-1], strict=False))
        self.narrow = nn.ModuleList(_conv(a, b, side=1) for a, b in backwards)
        self.up = nn.ModuleList(Residual(b) for _, b in backwards)
        self.maps = nn.Sequential(_conv(widths[0], 64), nn.Conv2d(64, len(POINTS), 1))
        self.right = nn.Linear(widths[-1], 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, 112, 112, 3) uint8 to logits: heatmaps, (B, 38, 28, 28), and whether the right half is visible."""
        skips = [self.stem((pixels.permute(0, 3, 1, 2).float() - 127.5) / 128)]
        for step in self.down:
            skips.append(step(skips[-1]))
        x = skips.pop()
        right = self.right(x.mean((2, 3)))
        for narrow, up in zip(self.narrow, self.up, strict=True):
            skip = skips.pop()
            x = up(skip + interpolate(narrow(x), size=skip.shape[-2:], mode="nearest"))
        return self.maps(x), right


def landmark_loss(maps: Tensor, right: Tensor, points: Tensor, flipped: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss, and the mean L1 distance in pixels. Flipped views train the output `right` only."""
    side_loss = binary_cross_entropy_with_logits(right[:, 0], (~flipped).float())
    maps, points = maps[~flipped], points[~flipped]
    here = torch.arange(maps.shape[-1]) * STRIDE + (STRIDE - 1) / 2
    along = torch.exp(-(((here - points[..., None]) / HEATMAP_SIGMA) ** 2) / 2)
    target = along[:, :, 1, :, None] * along[:, :, 0, None, :]
    target = target / target.sum((2, 3), keepdim=True).clamp(min=1e-6)
    heatmaps = maps.flatten(2).softmax(2).view_as(maps)
    found = torch.stack([heatmaps.sum(2) @ here, heatmaps.sum(3) @ here], dim=2)
    inside = ((points > 0) & (points < INPUT_SIDE - 1)).all(dim=2)
    distance = (found - points).abs().sum(2)[inside].mean()
    cross_entropy = -(target * (heatmaps + 1e-9).log()).sum((2, 3))[inside].mean()
    return 0.3 * cross_entropy + 0.3 * distance + side_loss, distance


def train(views: Views, steps: int) -> Network:
    """Train with AdamW and cosine decay of the learning rate to zero."""
    torch.manual_seed(0)
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.01)
    recent = []
    batches = iter(DataLoader(AugmentedViews(views), BATCH, num_workers=1))
    for step in range(1, steps + 1):
        crops, points, flipped = next(batches)
        maps, right = network(crops)
        loss, distance = landmark_loss(maps, right, points.float(), flipped)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        recent.append(float(distance.detach()))
        if step % LOG_EVERY == 0:
            print(f"step {step}: mean distance {np.mean(recent):.2f} of {INPUT_SIDE} pixels", flush=True)
            recent.clear()
    return network.eval()


def write(network: Network, out: Path) -> None:
    """Write ONNX for batches of any size, with weights in half precision."""
    example = torch.zeros(2, INPUT_SIDE, INPUT_SIDE, 3, dtype=torch.uint8)
    shapes = {"pixels": {0: torch.export.Dim("batch")}}
    torch.onnx.export(
        network.half().float(),
        (example,),
        out,
        dynamo=True,
        external_data=False,
        dynamic_shapes=shapes,
        input_names=["pixels"],
        output_names=["maps", "right"],
    )
    model = onnx.load(out)
    remove_metadata(model)
    store_in_half(model)
    onnx.save(model, out)


def main(folder: Path, out: Path, steps: int) -> None:
    """Draw views, train, write."""
    names = list_photos(folder)[0]
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        parts = list(pool.map(draw_views, [folder] * 2, [names[::2], names[1::2]], range(2)))
    views = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    print(f"{len(names)} photos, {len(views[0])} views", flush=True)
    torch.set_num_threads(1)
    write(train(views, steps), out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else STEPS)
