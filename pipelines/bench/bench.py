"""Stage: the speed of each step alone on this machine.

The steps of a photo run in one worker process, on one core; the loader and the networks run as in training and bulk
runs, on all cores and on the device. The first round warms up and is not counted.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.batch.config import FrontalizeConfig
from pipelines.bench.config import BenchConfig
from pipelines.bench.photo_stages import SEARCH_STAGES, STAGES, SUFFIX, VIEW_SIZE, PhotoTimer, PhotoTimes, TimingJob
from pipelines.bench.rates import Timing, machine
from pipelines.photo_jobs.device_networks import full_precision_on, networks_on
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.worker_pool import Crash, run_in_workers
from pipelines.train.config import TrainConfig
from pipelines.train.data.batches import Loader, LoaderSpec
from pipelines.train.data.dali_loader import DaliLoader
from pipelines.train.data.torch_loader import TorchLoader
from pipelines.train.fabric import open_fabric
from pipelines.train.recipes.recipe import Setup, StepInfo, TrainingSet
from pipelines.train.recipes.registry import make_recipe, normalization_of, recipe_settings
from pipelines.weights.checkpoint import load_generator
from pipelines.weights.generator import open_generator, weights_path
from toolkit.errors import ConfigError
from toolkit.records.subjects import Pair
from toolkit.views.frontal import FrontalView

DESCRIPTIONS = (
    "as far as needed",
    "all search views",
    f"crop, {VIEW_SIZE} px",
    f"{VIEW_SIZE} px",
    f"{VIEW_SIZE} px, {SUFFIX[1:]}, write",
)
RECIPE = "scaleway"
NETWORK, ONE_BY_ONE = "refiner", "refiner, singly"
MIN_SECONDS = 0.5  # of a round of the loader or a network, at least
ENDLESS = 10**9  # steps


class Bench:
    """All stages on some photos.

    Args:
        photos: the files.
        scratch: an empty folder for outputs.
        config: how often, and on which device.
        workers: cores that bulk runs would use.

    Attributes:
        photos: those that can be decoded, once :meth:`run` has seen them.
        timings: of each stage by name, filled by :meth:`run`.

    Raises:
        ConfigError: the device is not there.
    """

    def __init__(self, photos: list[Path], scratch: Path, config: BenchConfig, workers: int) -> None:
        self.photos, self._scratch, self._rounds, self._workers = photos, scratch, config.rounds, workers
        self._fabric = open_fabric("32", config.device, 1)
        self.device = self._fabric.device
        self.timings: dict[str, Timing] = {}
        self._last: list[PhotoTimes] = []  # of the last round

    def __len__(self) -> int:
        """Number of items that :meth:`run` yields."""
        return (self._rounds + 1) * (len(self.photos) + 4)

    def run(self, stop: Stop) -> Iterator[str]:
        """Measure until told to stop; yield the name of the stage after each photo and each round.

        Raises:
            ConfigError: no photo has a face.
        """
        for note in chain(self._time_photos(stop), self._time_training(), self._time_refiner()):
            yield note
            if stop():
                return

    def sample(self) -> dict[str, Any]:
        """The sample: number of photos, of photos with a face, median size in pixels."""
        width, height = np.median([photo.size_wh for photo in self._last], axis=0).astype(int).tolist()
        return {"photos": len(self._last), "with_face": len(self._with_face), "width": width, "height": height}

    def limit(self, whole: Timing, network: bool) -> dict[str, Any]:
        """Compare an end-to-end run with its stages.

        Args:
            whole: the run.
            network: whether the views went through the refiner.

        Returns:
            ``limited_by``: the slowest stage; ``of_stages``: the rate relative to what the stages alone allow;
            ``times_plain_loop``: the rate relative to a loop over the photos, on one core (the network on its device).
        """
        usable = len(self._with_face) / len(self._last)
        seconds = {stage: (1 if stage in SEARCH_STAGES else usable) / self.timings[stage].rate for stage in STAGES}
        loop = sum(seconds.values())
        seconds_at = {"workers": loop / self._workers}  # seconds per photo, all cores working
        if network:
            loop += usable / self.timings[ONE_BY_ONE].rate
            seconds[NETWORK] = usable / self.timings[NETWORK].rate
            shared = self.device.type == "cpu"  # the network runs on the workers' cores
            seconds_at["workers" if shared else NETWORK] = seconds[NETWORK] + shared * seconds_at["workers"]
        longest = max(seconds, key=lambda stage: seconds[stage] * (1 if stage == NETWORK else 1 / self._workers))
        return {
            "limited_by": longest,
            "of_stages": whole.rate * max(seconds_at.values()),
            "times_plain_loop": whole.rate * loop,
        }

    @property
    def _with_face(self) -> list[PhotoTimes]:
        return [photo for photo in self._last if photo.has_face]

    def _time_photos(self, stop: Stop) -> Iterator[str]:
        rounds: list[list[PhotoTimes]] = [[] for _ in range(self._rounds + 1)]
        named = [(path, f"{number}{SUFFIX}") for number, path in enumerate(self.photos)]
        jobs = [TimingJob(part, *each) for part in range(len(rounds)) for each in named]
        with networks_on(str(self.device), partial(PhotoTimer, self._scratch)) as load:
            for done in run_in_workers(load, PhotoTimer.time, jobs, 1, stop):
                if not isinstance(done, Crash) and done.readable:
                    rounds[done.job.round].append(done)
                yield "photos"
        if stop():
            return
        self._last = rounds[-1]
        self.photos = [photo.job.path for photo in self._last]
        if not self._with_face:
            raise ConfigError(f"none of the {len(named)} photos has a face; give a SRC with portraits")
        for stage, what in zip(STAGES, DESCRIPTIONS, strict=True):
            rates = []
            for photos in rounds[1:]:
                seconds = [photo.seconds[stage] for photo in photos if stage in SEARCH_STAGES or photo.has_face]
                rates.append(len(seconds) / sum(seconds))
            self.timings[stage] = Timing(stage, what, "1 core", "photos", rates, self._workers)

    def _time_training(self) -> Iterator[str]:
        """As `train` runs: on a GPU with torch's own precision."""
        settings = recipe_settings(TrainConfig(dataset="", recipe=RECIPE))
        pairs, size = settings.batch_size, settings.image_size
        spec = self._loader_spec(pairs, size)
        recipe = make_recipe(RECIPE, settings, Setup(self._fabric), TrainingSet(spec.root, spec.pairs, None))
        loader, loader_name = _open_loader(spec, self.device)
        batches = loader.batches(0, ENDLESS)
        batch = next(batches)
        what = f"{loader_name}, {pairs} a batch, {VIEW_SIZE} px to {size}"
        yield from self._time("loader", what, f"{self._workers} cores", "pairs", pairs, lambda: next(batches))
        what, place = f"{RECIPE}, {pairs} a batch, {size} px", machine(self.device)["device"]
        yield from self._time("train step", what, place, "pairs", pairs, lambda: recipe.step(batch, StepInfo(0, 0)))

    def _time_refiner(self) -> Iterator[str]:
        """As `batch` runs: on a GPU in float32."""
        faces, place = FrontalizeConfig(model=NETWORK).batch_size, machine(self.device)["device"]
        refine = open_generator(NETWORK, faces, str(self.device))
        gray = np.full((VIEW_SIZE, VIEW_SIZE, 3), 128, np.uint8)
        view = FrontalView(gray, np.full((VIEW_SIZE, VIEW_SIZE), 0.5, np.float32), gray).network_inputs
        net, _ = load_generator(weights_path(NETWORK), self.device)
        one = [torch.zeros(1, channels, VIEW_SIZE, VIEW_SIZE, device=self.device) for channels in (3, 1, 3)]

        @torch.inference_mode()
        def singly() -> None:
            net(*one).image.cpu()

        with full_precision_on(str(self.device)):
            what = f"{faces} views, {VIEW_SIZE} px"
            yield from self._time(NETWORK, what, place, "photos", faces, lambda: refine([view] * faces))
            yield from self._time(ONE_BY_ONE, f"a view, {VIEW_SIZE} px", place, "photos", 1, singly)

    def _time(
        self, stage: str, what: str, place: str, unit: str, count: int, work: Callable[[], object]
    ) -> Iterator[str]:
        rates = []
        for _ in range(self._rounds + 1):
            calls, started = 0, time.perf_counter()
            while time.perf_counter() - started < MIN_SECONDS:
                work()
                calls += 1
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)  # the calls return before the work is done
            rates.append(count * calls / (time.perf_counter() - started))
            yield stage
        self.timings[stage] = Timing(stage, what, place, unit, rates[1:])

    def _loader_spec(self, batch_size: int, image_size: int) -> LoaderSpec:
        """Pairs made of the written views."""
        names = [photo.job.view for photo in self._with_face]
        return LoaderSpec(
            root=self._scratch,
            pairs=[Pair(name, names[0], "all") for name in names],
            batch_size=batch_size,
            image_size=image_size,
            normalization=normalization_of(RECIPE),
            seed=0,
            workers=self._workers,
        )


def _open_loader(spec: LoaderSpec, device: torch.device) -> tuple[Loader, str]:
    try:
        return DaliLoader(spec, device), "DALI"
    except ConfigError:
        return TorchLoader(spec, device), "torch"
