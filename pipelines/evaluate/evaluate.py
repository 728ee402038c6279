"""Stage: a paired set and several models -> how near the frontal faces that they make come to the targets."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.evaluate.candidate_models import Candidate, Shown, open_candidate, short_names
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.pair_worker import PairJob, Sight, Unseen, open_sight
from pipelines.evaluate.summary import Questions, identify, sum_up
from pipelines.metrics.image_metrics import MEASURES, compare_images
from pipelines.photo_jobs.crops import resize_square
from pipelines.runtime.devices import choose_device
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.worker_pool import Crash, run_in_workers
from pipelines.weights.normalization import Normalization
from toolkit.errors import ConfigError, DatasetError, PhotoError
from toolkit.identity.recognizer import Recognizer, as_recognizers_see
from toolkit.photos.decode import Photo, read_bytes
from toolkit.records.labels import LABELS, read_labels
from toolkit.records.subjects import parts_of, read_pairs

Image = NDArray[np.uint8]
Vectors = NDArray[np.float64]
LARGEST = 1024  # px, the side at which images are compared at most


class Evaluation:
    """Models and a set, ready to be judged.

    All faces and targets are compared at one size, and a recogniser sees all of them in one frame.

    Args:
        dataset: root of a paired set of chin crops; of a divided one, ``val/`` is judged.
        config: which models, and how.

    Raises:
        ConfigError: the set, a model, the recogniser or the device cannot be used.
    """

    def __init__(self, dataset: Path, config: EvaluateConfig) -> None:
        self.part = "val" if parts_of(dataset) else ""
        self.root, self._config = dataset.resolve() / self.part, config
        self.pairs = read_pairs(self.root)
        self.device = choose_device(config.device)
        self.size = config.size or self._target_side()
        self.candidates = [open_candidate(name, self.size, config.batch_size, self.device) for name in config.models]
        self._recognizers: list[Recognizer] = []
        if config.recognizer is not None:
            self._recognizers = [Recognizer(config.recognizer) for _ in range(config.workers)]  # one serves one thread
        labels = read_labels(self.root, {"person", "yaw", config.by or "person"})
        if config.by is not None and config.by not in labels.columns:
            raise ConfigError(f"by={config.by}: {self.root / LABELS} has no such column; its first line names them")
        self._groups = {pair.input: labels.text(config.by, pair.input) for pair in self.pairs} if config.by else {}
        self._people = {pair.input: labels.person(pair.input, pair.subject) for pair in self.pairs}
        self._people |= {pair.target: labels.person(pair.target, pair.subject) for pair in self.pairs}
        self._yaw = labels.numbers("yaw", [pair.input for pair in self.pairs]).astype(np.float64)
        self._labelled = ~np.isnan(self._yaw)
        self._gallery: dict[str, Vectors] = {}  # target -> (D,) description
        self.failed: dict[int, str] = {}  # pairs that could not be read, with the reason

    @property
    def ranked_by(self) -> str:
        """What makes a pair one of the best or the worst."""
        return "identity_cosine" if self._recognizers else "ssim"

    def run(self, stop: Stop) -> Iterator[int]:
        """Judge all pairs, the number of each as it is done; those that cannot be read end up in ``failed``.

        Files are read and faces found in worker processes, networks run here on batches, and a recogniser on threads.
        """
        draws = any(candidate.draws for candidate in self.candidates)
        jobs = [PairJob(number, pair, draws or not self._labelled[number]) for number, pair in enumerate(self.pairs)]
        faces = any(job.find_face for job in jobs)
        open_work = partial(open_sight, self.root, faces, self.size if draws else None)
        waiting: list[Sight] = []
        with ThreadPoolExecutor(max(1, len(self._recognizers))) as threads:
            ahead = 2 * self._config.batch_size
            for result in run_in_workers(open_work, jobs, self._config.workers, stop, ahead):
                if not isinstance(result, Sight):
                    yield self._give_up(result)
                    continue
                waiting.append(result)
                if len(waiting) == self._config.batch_size:
                    yield from self._judge(waiting, threads)
                    waiting = []
            if waiting:
                yield from self._judge(waiting, threads)

    def document(self) -> dict[str, Any]:
        """All numbers, for a program; what is no plain number there is None."""
        judged = [number for number in range(len(self.pairs)) if number not in self.failed]
        pairs = [self.pairs[number] for number in judged]
        targets = sorted({pair.target for pair in pairs})
        people = sorted({self._people[pair.input] for pair in pairs} | {self._people[target] for target in targets})
        place_of, person_of = ({name: place for place, name in enumerate(names)} for names in (targets, people))
        questions = Questions(
            self._yaw[judged],
            np.array([person_of[self._people[pair.input]] for pair in pairs], np.intp),
            np.array([place_of[pair.target] for pair in pairs], np.intp),
            np.array([person_of[self._people[target]] for target in targets], np.intp),
            [self._groups[pair.input] for pair in pairs] if self._groups else (),
        )
        return {
            "dataset": str(self.root),
            "part": self.part or None,
            "size": self.size,
            "pairs": len(pairs),
            "subjects": len(targets),
            "people": len(people),
            "yaw": {
                "labelled": int(self._labelled[judged].sum()),
                "measured": int((~self._labelled & ~np.isnan(self._yaw))[judged].sum()),
                "unknown": int(np.isnan(questions.yaw).sum()),
            },
            "recognizer": str(self._config.recognizer) if self._recognizers else None,
            "by": self._config.by,
            "ranked_by": self.ranked_by,
            "models": [
                {"model": one.name, "name": name, **self._numbers(one, judged, questions, targets)}
                for one, name in zip(self.candidates, short_names(self._config.models), strict=True)
                if judged
            ],
            "failed": [
                {"input": self.pairs[number].input, "reason": reason} for number, reason in sorted(self.failed.items())
            ],
        }

    def row(self, candidate: Candidate, number: int) -> dict[str, Any]:
        """What is known of one pair and one model's face."""
        pair, measures = self.pairs[number], candidate.measures.get(number)
        row: dict[str, Any] = {"input": pair.input, "target": pair.target}
        row["yaw"] = None if np.isnan(self._yaw[number]) else round(float(self._yaw[number]), 1)
        row |= zip(MEASURES, measures, strict=True) if measures else dict.fromkeys(MEASURES)
        if self._recognizers:
            face = candidate.faces.get(number)
            row["identity_cosine"] = 0.0 if face is None else float(face @ self._gallery[pair.target])
        return row

    def _numbers(
        self, candidate: Candidate, judged: list[int], questions: Questions, targets: list[str]
    ) -> dict[str, Any]:
        blank = [np.nan] * len(MEASURES)
        measures = np.array([candidate.measures.get(number, blank) for number in judged])
        identity = None
        if self._recognizers:
            gallery = np.stack([self._gallery[target] for target in targets])
            nobody = np.zeros(gallery.shape[1])
            faces = np.stack([candidate.faces.get(number, nobody) for number in judged])
            identity = identify(questions, faces, gallery)
        best, worst = candidate.best_and_worst()
        return {
            **sum_up(questions, measures, identity),
            "reasons": candidate.reasons,
            "best": [self.row(candidate, shown.number) for shown in best],
            "worst": [self.row(candidate, shown.number) for shown in worst],
        }

    def _judge(self, sights: list[Sight], threads: ThreadPoolExecutor) -> list[int]:
        """One batch through every model, measured and described; the pairs' numbers."""
        targets = [resize_square(sight.target, self.size) for sight in sights]
        for sight in sights:
            if not self._labelled[sight.number]:
                self._yaw[sight.number] = sight.yaw
        if self._recognizers:
            new = {self.pairs[sight.number].target: image for sight, image in zip(sights, targets, strict=True)}
            new = {target: image for target, image in new.items() if target not in self._gallery}
            self._gallery |= zip(new, self._describe(list(new.values()), threads), strict=True)
        made = [candidate.make(sights) for candidate in self.candidates]
        for candidate, images in zip(self.candidates, made, strict=True):
            faces = {place: image for place, image in enumerate(images) if image is not None}
            numbers = [sights[place].number for place in faces]
            measures = self._compare(list(faces.values()), [targets[place] for place in faces])
            candidate.measures |= zip(numbers, measures, strict=True)
            if self._recognizers:
                candidate.faces |= zip(numbers, self._describe(list(faces.values()), threads), strict=True)
        for place, sight in enumerate(sights):
            self._show(sight, [images[place] for images in made])
        return [sight.number for sight in sights]

    def _show(self, sight: Sight, faces: list[Image | None]) -> None:
        """Keep the pictures of a pair for those models whose best or worst it is."""
        pictures = [sight.input, *(sight.reason if face is None else face for face in faces), sight.target]
        for candidate, face in zip(self.candidates, faces, strict=True):
            if face is None:
                candidate.reasons[sight.reason.partition(":")[0]] += 1
            else:
                score = self.row(candidate, sight.number)[self.ranked_by]
                candidate.offer(Shown(score, sight.number, pictures))

    @torch.inference_mode()
    def _compare(self, made: list[Image], targets: list[Image]) -> list[list[float]]:
        """As :data:`MEASURES`, for each."""
        if not made:
            return []
        levels = Normalization()
        one, other = (
            (torch.from_numpy(np.stack(images)).to(self.device).permute(0, 3, 1, 2).float() - levels.mean)
            / levels.scale
            for images in (made, targets)
        )
        each: list[list[float]] = compare_images(one, other, levels).T.tolist()
        return each

    def _describe(self, crops: list[Image], threads: ThreadPoolExecutor) -> list[Vectors]:
        """(D,) for each crop, by the recogniser."""
        count = min(len(self._recognizers), len(crops))

        def share(first: int) -> Vectors:
            return self._recognizers[first].embed([as_recognizers_see(crop) for crop in crops[first::count]])

        described: dict[int, Vectors] = {}
        for first, some in enumerate(threads.map(share, range(count))):
            described |= zip(range(first, len(crops), count), some, strict=True)
        return [described[place] for place in range(len(crops))]

    def _give_up(self, result: Unseen | Crash[PairJob]) -> int:
        if isinstance(result, Unseen):
            self.failed[result.number] = result.reason
            return result.number
        self.failed[result.job.number] = result.error.reason
        return result.job.number

    def _target_side(self) -> int:
        for pair in self.pairs:
            try:
                width, height = Photo(read_bytes(self.root / pair.target)).size
            except PhotoError:
                continue  # its pairs will be among the failed
            if width == height >= 16:
                return min(width, LARGEST)
        raise DatasetError(f"{self.root}: no target is a square that can be read; see `frontalize pairs verify`")
